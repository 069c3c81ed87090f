"""Rereading: an ended execution whose code runs again, to give its caller the framework's own result.

Every step is answered from the record. Nothing is written, no lease is held, and a call that is not in the record does
not start: it raises Suspended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.checkpoint.journal import journal
from durable.checkpoint.journal.journal import Journal
from durable.errors import ExecutionClosed
from durable.live.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durable.checkpoint.records import Execution, NewRecord, Record
    from durable.run.process import Process


def ended_segment(runtime: Process, execution: Execution) -> Segment:
    """Return a segment over the record of an ended execution. Blocks."""
    with runtime.database.read() as connection:
        records = journal.read(connection, execution.id, runtime.load)
        head = journal.head(connection, execution.id)
    closed = _ClosedJournal(
        runtime.writer, runtime.database, execution.id, epoch=execution.epoch, head=head, load=runtime.load
    )
    closed.status = execution.status
    segment = Segment(runtime, execution, closed, records, [])
    segment.draining = True
    return segment


class _ClosedJournal(Journal):
    """Journal that takes nothing more in; a note on what is different now is dropped."""

    status = ""

    def append(self, *records: NewRecord, companions: Sequence[Callable[[Any], object]] = ()) -> tuple[Record, ...]:
        """Raise ExecutionClosed for anything but notes."""
        if companions or any(record.kind != "note" for record in records):
            raise ExecutionClosed(self.execution_id, self.status, "record a step of")
        return ()
