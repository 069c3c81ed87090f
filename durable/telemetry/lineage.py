"""Choose the trace of a segment: one trace while an execution is short, links between its traces when it is long.

A process that is killed exports nothing of the spans it had open. So each trace begins with a tiny span that has ended
before any work starts, and every segment is a child of that one. Its trace context is kept in the execution's row;
that of each segment goes along with the first record the segment appends, so it costs no commit. The next segment
links to it, and after a gap longer than NEW_TRACE_AFTER it begins a trace of its own.

Source: https://www.w3.org/TR/trace-context/ (traceparent)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from durable.record.events import ABSENT, Trace, trace_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.trace import SpanContext

    from durable.checkpoint.records import Record

NEW_TRACE_AFTER = 300.0
"""Seconds that an execution may have been at rest for its next segment to stay in the same trace."""

_HEADER = "traceparent"
_W3C = TraceContextTextMapPropagator()


def traceparent(span: trace.Span) -> str | None:
    """Return the W3C form of a span's context; None if it has none."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span))
    return carrier.get(_HEADER)


def span_context(header: str | None) -> SpanContext | None:
    """Return the context that a traceparent stands for; None if it stands for none."""
    if not header:
        return None
    context = trace.get_current_span(_W3C.extract({_HEADER: header})).get_span_context()
    return context if context.is_valid else None


@dataclass(frozen=True, slots=True)
class Lineage:
    """Parent and link of a segment's span.

    It goes under ``root``, or under a new root if that is None. It is linked to ``previous``.
    """

    root: SpanContext | None
    previous: SpanContext | None


def lineage(records: Sequence[Record], started: str | None) -> Lineage:
    """Return the lineage of a segment.

    ``records`` are the journal up to and with the claim of this segment, ``started`` is the trace context kept at the
    start.
    """
    segment = started
    root = started
    for record in reversed(records):
        written = trace_of(record)
        if written is not None:
            segment = written.traceparent
            root = started if written.trace_root is ABSENT else written.trace_root
            break
    previous = span_context(segment)
    rested = records[-1].at - records[-2].at if len(records) > 1 else 0.0
    if rested > NEW_TRACE_AFTER:
        return Lineage(None, previous)
    return Lineage(span_context(root), previous if segment != started else None)


def mark(span: trace.Span, root: str | None, started: str | None) -> Trace | None:
    """Return what a segment's first record carries along for the segment after it; None if there is no trace."""
    own = traceparent(span)
    return None if own is None else Trace(traceparent=own, trace_root=ABSENT if root == started else root)
