"""A fork of a graph's execution: a thread of its own, with the checkpoints that were there at the point.

Their ids stay, and with them those of the tasks made from them, so what had finished is found in the copied records.
What tasks had written on top of the last checkpoints is left behind: the records tell which of them had finished.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from durable.checkpoint.state import prune
from durable.record.events import GraphCheckpoint, unpack_if
from durable.run.branch import Carried

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durable.checkpoint.records import Record
    from durable.run.branch import Branch
    from durable.runtime import Runtime


def forked(runtime: Runtime, branch: Branch) -> Carried:
    """Return what goes with a fork: the same input, and the thread as it was."""
    execution = branch.execution
    copied = partial(
        prune.copy,
        runtime.database,
        namespace=runtime.namespace,
        thread=branch.new_id,
        source=execution.thread or execution.id,
        part=_part(branch),
    )
    return Carried(execution.input, branch.new_id, companions=(copied,))


def _part(branch: Branch) -> prune.Until:
    kept, later = _checkpoints(branch.kept), _checkpoints(branch.beyond)
    beyond = frozenset(later) - frozenset(kept)
    at_the_end = all(record.kind == "note" for record in branch.beyond)
    tips = frozenset() if at_the_end else frozenset({place: name for name, place in kept.items()}.values())
    if kept:
        return prune.Until(max(kept), beyond, tips)
    if not beyond:
        return prune.Until()
    return prune.Until(min(beyond), beyond)


def _checkpoints(records: Iterable[Record]) -> dict[str, str]:
    """The checkpoints that these records tell of, in order, each with its place in the graph."""
    stored = (unpack_if(record, GraphCheckpoint) for record in records)
    return {event.checkpoint: event.ns or "" for event in stored if event is not None}
