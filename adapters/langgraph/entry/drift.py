"""Drift of a graph: work that waits for a node which the deployed graph does not have any more.

LangGraph drops such work and reports success. Here the pending names are read from the checkpoint itself, and a
missing one stops the execution at an interrupt that shows both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.kit import Difference, compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langgraph.checkpoint.base import Checkpoint
    from langgraph.pregel import Pregel

    from durable.live.segment import Segment

_BRANCH, _JOIN, _SENDS = "branch:to:", "join:", "__pregel_tasks"
_INTERNAL = frozenset({"__start__", "__end__"})


def check_nodes(segment: Segment, graph: Pregel[Any, Any, Any, Any], checkpoint: Checkpoint) -> None:
    """Return if all pending nodes exist.

    Raises Suspended at an open drift interrupt, Cancelled if that is its answer.
    """
    nodes = set(graph.nodes)
    missing = sorted(pending_nodes(checkpoint) - nodes - _INTERNAL)
    question = "deploy a graph that has these nodes and approve to try again, or cancel"
    recorded, now = {"pending_nodes": missing}, {"nodes": sorted(nodes - _INTERNAL)}
    compare(segment, "drift:nodes", Difference(recorded, now, question, can_go_on=False) if missing else None)


def pending_nodes(checkpoint: Checkpoint) -> set[str]:
    """The names of the nodes that this checkpoint says are to run next, whatever graph is deployed."""
    versions: Mapping[str, Any] = checkpoint["channel_versions"]
    versions_seen: Mapping[str, Mapping[str, Any]] = checkpoint["versions_seen"]
    values: Mapping[str, Any] = checkpoint["channel_values"]
    pending = {send.node for send in _sends(values.get(_SENDS))}
    for channel, version in versions.items():
        node = _target(channel)
        if node is None or channel not in values:
            continue
        seen_version = versions_seen.get(node, {}).get(channel)
        if seen_version is None or version > seen_version:
            pending.add(node)
    return pending


def _target(channel: str) -> str | None:
    if channel.startswith(_BRANCH):
        return channel.removeprefix(_BRANCH)
    return channel.rpartition(":")[2] if channel.startswith(_JOIN) else None


def _sends(sends: Any) -> Iterable[Any]:
    return [send for send in sends or () if hasattr(send, "node")]
