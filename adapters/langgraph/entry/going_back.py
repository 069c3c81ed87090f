"""Going back: where on its thread a run begins, and which executions it goes back behind.

LangGraph's own ways back (``checkpoint_id``, ``update_state`` on an earlier checkpoint) leave no word in a run's input:
they show in the checkpoint it begins from. What executions of the thread have on record after that checkpoint is
beyond the point gone back to; so is what was beyond it for the execution that wrote the checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.checkpoint.journal import journal
from durable.record.events import GraphCheckpoint, unpack_if
from durable.record.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from langgraph.checkpoint.base import CheckpointTuple

    from durable.adapters.langgraph.state.saver import DurableSaver
    from durable.checkpoint.records import Execution
    from durable.runtime import Runtime

MOST = 1000
"""Executions of a thread that are looked at."""


class Line:
    """The executions of a thread, newest first, and the checkpoints that each has on record. Reads as it is asked."""

    def __init__(self, runtime: Runtime, saver: DurableSaver, app: str, thread: str, *, but: str = "") -> None:
        self._runtime, self._saver, self._thread = runtime, saver, thread
        found = runtime.executions(app=app, thread=thread, limit=MOST)
        self.executions: Sequence[Execution] = [execution for execution in found if execution.id != but]
        self._written: dict[str, dict[str, int]] = {}
        self._last: dict[str, str | None] = {}

    def begins(self, conf: Mapping[str, Any]) -> tuple[int, int] | None:
        """Return which execution wrote the checkpoint that a run with this config begins from, and at which seq.

        A checkpoint that none wrote (``update_state``) counts as its nearest ancestor that one did. None if none did.
        """
        for checkpoint_id in self._upwards(conf):
            for place, execution in enumerate(self.executions):
                seq = self.written(execution.id).get(checkpoint_id)
                if seq is not None:
                    return place, seq
        return None

    def written(self, execution_id: str) -> Mapping[str, int]:
        """Return the checkpoints that an execution has on record, each with its last seq."""
        if execution_id not in self._written:
            with self._runtime.database.read() as connection:
                records = journal.read_kind(connection, execution_id, "checkpoint", self._runtime.load)
            stored = [(record.seq, unpack_if(record, GraphCheckpoint)) for record in records]
            whole = [(seq, event) for seq, event in stored if event is not None]
            self._written[execution_id] = {event.checkpoint: seq for seq, event in whole}
            roots = [event.checkpoint for _, event in whole if event.ns is None]
            self._last[execution_id] = roots[-1] if roots else None
        return self._written[execution_id]

    def last(self, execution_id: str) -> int | None:
        """Return the seq of the last checkpoint of the graph itself; None if the execution wrote none."""
        written, last = self.written(execution_id), self._last[execution_id]
        return None if last is None else written[last]

    def gone_back(self, execution_id: str) -> list[tuple[str, int]]:
        """Return what an execution itself goes back behind: one of its notes says so."""
        whole = Replay()
        with self._runtime.database.read() as connection:
            whole.fold(journal.read_kind(connection, execution_id, "note", self._runtime.load))
        return whole.origins

    def _upwards(self, conf: Mapping[str, Any]) -> Iterator[str]:
        keys = ("checkpoint_ns", "checkpoint_id", "checkpoint_map")
        place = {key: conf[key] for key in keys if conf.get(key) is not None}
        config: Any = {"configurable": {"checkpoint_ns": "", **place, "thread_id": self._thread}}
        while config is not None:
            found: CheckpointTuple | None = self._saver.get_tuple(config)
            if found is None:
                return
            yield found.checkpoint["id"]
            config = found.parent_config


def goes_on(line: Line, execution: Execution, conf: Mapping[str, Any]) -> bool:
    """True if the thread still stands where this execution of it left it: it can go on from there."""
    last = line.last(execution.id)
    begins = line.begins(conf)
    if last is None or begins is None:
        return True
    place, seq = begins
    return line.executions[place].id == execution.id and seq == last


def origin(line: Line, conf: Mapping[str, Any], *, takes_up: bool) -> list[tuple[str, int]]:
    """Return the executions that a new run of the thread goes back behind, each with the seq up to which it counts.

    ``takes_up``: it has no input of its own, so what an ended execution had begun after its last checkpoint is made
    again too.
    """
    if not line.executions:
        return []
    begins = line.begins(conf)
    if begins is None:
        return [(execution.id, 0) for execution in line.executions]
    place, seq = begins
    writer = line.executions[place]
    later = [(execution.id, 0) for execution in line.executions[:place]]
    own = [(writer.id, seq)] if takes_up or seq != line.last(writer.id) else []
    return [*later, *own, *line.gone_back(writer.id)]
