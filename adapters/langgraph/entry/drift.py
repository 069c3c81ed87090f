"""Drift of a graph: work that waits for a node which the deployed graph does not have any more.

LangGraph drops such work and reports success. Here the pending names are read from the checkpoint itself, and a
missing one stops the execution at an interrupt that shows both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.errors import Cancelled, Suspended
from durable.inbox.ask import answer_to, ask_person
from durable.inbox.kinds import DRIFT
from durable.record.events import Called

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
    known = set(graph.nodes)
    missing = sorted(pending_nodes(checkpoint) - known - _INTERNAL)
    outcome = segment.replay.at("drift:nodes")
    if not missing:
        if outcome.interrupt is not None:
            segment.withdraw(outcome)
        return
    answer = answer_to(segment, outcome)
    if answer is not None:
        closed, consume = answer.closing(segment)
        segment.append(closed, companions=[consume])
        if answer.decision.kind == "cancel":
            raise Cancelled(answer.decision.reason or "cancelled by decision")
    subject = {
        "recorded": {"pending_nodes": missing},
        "now": {"nodes": sorted(known - _INTERNAL)},
        "question": "deploy a graph that has these nodes and approve to try again, or cancel",
    }
    ask_person(segment, outcome, DRIFT, subject, about=Called(name="nodes", arguments_hash=""))
    raise Suspended


def pending_nodes(checkpoint: Checkpoint) -> set[str]:
    """The names of the nodes that this checkpoint says are to run next, whatever graph is deployed."""
    versions: Mapping[str, Any] = checkpoint["channel_versions"]
    seen: Mapping[str, Mapping[str, Any]] = checkpoint["versions_seen"]
    values: Mapping[str, Any] = checkpoint["channel_values"]
    pending = {send.node for send in _sends(values.get(_SENDS))}
    for channel, version in versions.items():
        node = _target(channel)
        if node is None or channel not in values:
            continue
        known = seen.get(node, {}).get(channel)
        if known is None or version > known:
            pending.add(node)
    return pending


def _target(channel: str) -> str | None:
    if channel.startswith(_BRANCH):
        return channel.removeprefix(_BRANCH)
    return channel.rpartition(":")[2] if channel.startswith(_JOIN) else None


def _sends(found: Any) -> Iterable[Any]:
    return [send for send in found or () if hasattr(send, "node")]
