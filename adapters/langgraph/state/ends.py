"""Ends: which checkpoints a run leaves behind that was called with ``durability="exit"``.

While it is driven all are kept, as a crash may come at any time and task ids are made from them. When it has come to
rest, the last one of the graph stays, those of graphs inside it that have not finished, and the last of each run of a
graph with ``checkpointer=True``: what the bare graph would have written on its exit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from langgraph.checkpoint.base import WRITES_IDX_MAP

from durable.adapters.langgraph.state.notes import ThreadThinned
from durable.checkpoint.journal import journal
from durable.checkpoint.state import reads
from durable.record.events import GraphCheckpoint, unpack_if

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from durable.adapters.langgraph.state.checkpoint_reads import Tuples
    from durable.checkpoint.state.snapshots import SnapshotPlace


class Mark(NamedTuple):
    """Checkpoint in short: its place in the graph, its id, and those of the graphs around that it was made in."""

    ns: str
    id: str
    parents: Mapping[str, str]


def since_thinned(connection: Any, execution_id: str, load: Callable[[bytes], Any]) -> list[str]:
    """Return the checkpoints that an execution has on record since it last deleted those in between."""
    notes = journal.read_kind(connection, execution_id, "note", load)
    last = max((note.seq for note in notes if unpack_if(note, ThreadThinned) is not None), default=0)
    records = journal.read_kind(connection, execution_id, "checkpoint", load)
    events = [unpack_if(record, GraphCheckpoint) for record in records if record.seq > last]
    return [event.checkpoint for event in events if event is not None]


def in_between(connection: Any, place: SnapshotPlace, written: Sequence[str], tuples: Tuples) -> dict[str, set[str]]:
    """Return those of the checkpoints written that nothing needs when the run has come to rest, by their place."""
    marks = [
        Mark(ns, checkpoint_id, tuples.decoded(metadata).get("parents") or {})
        for ns, checkpoint_id, metadata in reads.named(connection, place, written)
    ]
    newest = {mark.ns: mark.id for mark in sorted(marks, key=lambda mark: mark.id)}
    tips = {*newest.values(), *(parent for mark in marks for parent in mark.parents.values())}
    finished = reads.tasks(connection, place, sorted(tips), without=list(WRITES_IDX_MAP))
    kept = ends(marks, newest, finished)
    dropped: dict[str, set[str]] = {}
    for mark in marks:
        if (mark.ns, mark.id) not in kept:
            dropped.setdefault(mark.ns, set()).add(mark.id)
    return dropped


def ends(marks: Iterable[Mark], newest: Mapping[str, str], finished: Collection[str]) -> set[tuple[str, str]]:
    """Return the (place, id) of what stays. ``finished`` are the tasks whose writes wait on top of a newest one."""
    last_of_runs: dict[tuple[Any, ...], str] = {}
    kept = set()
    for mark in sorted(marks, key=lambda mark: mark.id):
        if ":" not in mark.ns:
            last_of_runs[mark.ns, *sorted(mark.parents.items())] = mark.id
        elif newest[mark.ns] == mark.id and _goes_on(mark, newest, finished):
            kept.add((mark.ns, mark.id))
    return kept | {(place[0], checkpoint_id) for place, checkpoint_id in last_of_runs.items()}


def _goes_on(mark: Mark, newest: Mapping[str, str], finished: Collection[str]) -> bool:
    """True if the task in which this graph runs may go on: made from a newest checkpoint, and without writes yet."""
    tasks = [part.partition(":")[2] for part in mark.ns.split("|")]
    current = all(newest.get(ns, parent) == parent for ns, parent in mark.parents.items())
    return current and not any(task in finished for task in tasks)
