"""Trace context of a segment: it goes along with the first record that the segment appends, of any kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from durable.record.events.base import ABSENT, Absent, Fields

if TYPE_CHECKING:
    from durable.checkpoint.records import NewRecord, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace(Fields):
    """Where the next segment finds the span of this one."""

    NAMES: ClassVar[frozenset[str]] = frozenset({"traceparent", "trace_root"})

    traceparent: str
    """The W3C trace context of the segment's span."""
    trace_root: str | Absent | None = ABSENT
    """The trace context of the span that the segment's trace began with, where the execution did not start with it."""

    def carried_by(self, record: NewRecord) -> NewRecord:
        """Return the record with this trace context in addition."""
        return replace(record, meta={**record.meta, **self.said()})


def trace_of(record: Record) -> Trace | None:
    """Return the trace context that a record carries; None if it carries none."""
    return Trace.from_meta(record.meta) if "traceparent" in record.meta else None
