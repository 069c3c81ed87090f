"""Draw spans: one for each driven segment, step and attempt, the later inside the former.

A step that is only replayed has no span: its span begins with the first attempt in this process, dated back to the
call. A step whose call an adapter makes in its own way gets its spans afterwards. An attempt has a hash of its
idempotency key, never the key.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Link, Status, StatusCode

from durable.record.events import StepDone, unpack_if
from durable.telemetry import names
from durable.telemetry.attributes import conventional, error_type, of_execution, of_model, of_segment, of_step, outcome
from durable.telemetry.lineage import lineage, mark, traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer

    from durable.live.segment import Segment
    from durable.step.attempt import Ended
    from durable.step.call import Pending, Placed
    from durable.telemetry.metrics import Instruments

_SEGMENT = contexts.create_key("durable-segment")
_LISTED = 100
"""Replayed steps that are told one by one; a span holds no more than 128 events, the others are counted."""


class SegmentSpan:
    """Span of one driven segment, and the context that its steps hang below, on whatever thread they run."""

    __slots__ = ("context", "decided", "instruments", "replayed", "span", "tracer")

    def __init__(self, segment: Segment, tracer: Tracer, instruments: Instruments) -> None:
        started = segment.execution.traceparent
        ancestry = lineage(segment.records, started)
        links = [] if ancestry.previous is None else [Link(ancestry.previous)]
        root = _root(segment, tracer, links) if ancestry.root is None else ancestry.root
        caller = trace.get_current_span().get_span_context()
        if caller.is_valid and caller.trace_id != root.trace_id:
            links = [*links, Link(caller)]
        below = trace.set_span_in_context(trace.NonRecordingSpan(root))
        name = f"{names.INVOKE_AGENT} {segment.execution.app}"
        self.tracer = tracer
        self.instruments = instruments
        self.span = tracer.start_span(name, below, attributes=of_segment(segment), links=links)
        self.context = contexts.set_value(_SEGMENT, self, trace.set_span_in_context(self.span))
        self.decided: dict[str, dict[str, Any]] = {}
        self.replayed = 0
        segment.trace = mark(self.span, traceparent(trace.NonRecordingSpan(root)), started)

    def current(self) -> Context:
        """Return the caller's context if it is inside this segment, else the segment's."""
        callers = contexts.get_current()
        return callers if callers.get(_SEGMENT) is self else self.context

    def add_replayed(self, attributes: dict[str, Any]) -> None:
        """Add an event for a step that was answered from the journal."""
        self.replayed += 1
        if self.replayed <= _LISTED:
            self.span.add_event(names.REPLAYED, attributes)

    def end(self, status: str, error: BaseException | None) -> None:
        """End the span with how the execution was let go of."""
        self.span.set_attribute(names.STATUS, status)
        if self.replayed:
            self.span.set_attribute(names.REPLAYED_STEPS, self.replayed)
        if error is not None and status in {"failed", "dead"}:
            self.span.set_attribute(names.ERROR_TYPE, error_type(error))
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()


class Attached:
    """Run the block in this context."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = contexts.attach(self._context)

    def __exit__(self, *_: object) -> None:
        # a generator or task that is finished by another thread cannot take back what it attached here
        if contexts.get_current() is self._context:
            contexts.detach(self._token)


class StepSpan:
    """One step in this process, from the call to its outcome."""

    __slots__ = ("above", "began", "placed", "span", "started_at")

    def __init__(self, placed: Placed, above: SegmentSpan, *, ago: float = 0.0) -> None:
        self.placed = placed
        self.above = above
        self.span: Span | None = None
        self.started_at = time.time_ns() - int(ago * 1e9)
        self.began = time.perf_counter() - ago

    def __enter__(self) -> Self:
        self.placed.span = self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self.span is None:
            return
        call = self.placed.call
        instruments = self.above.instruments
        came_to = outcome(call, error)
        record = None if self.placed.match is None else self.placed.match.result
        if record is not None:
            self.span.set_attribute(names.STEP_SEQ, record.seq)
            finished = unpack_if(record, StepDone)
            self._add_usage({} if finished is None else finished.usage or {})
        _end(self.span, came_to, error)
        if came_to in {"done", "failed"}:
            attributes = {names.STEP_NAME: call.name, names.STEP_KIND: call.kind.name, names.STEP_OUTCOME: came_to}
            failed = {} if error is None else {names.ERROR_TYPE: error_type(error)}
            instruments.step.record(time.perf_counter() - self.began, attributes | failed)

    def _add_usage(self, usage: Mapping[str, Any]) -> None:
        for part, count in usage.items():
            if self.span is not None and isinstance(count, int):
                self.span.set_attribute(names.USAGE + part, count)
        for kind in ("input", "output"):
            count = usage.get(f"{kind}_tokens")
            if isinstance(count, int):
                self.above.instruments.tokens.record(count, {**of_model(self.placed.call), names.TOKEN_TYPE: kind})

    def begin(self) -> Context:
        """Return the context of the step. Its span starts with the first attempt."""
        below = self.above.current()
        if self.span is None:
            name, kind, by_convention = conventional(self.placed.call, trace.get_current_span(below))
            attributes = of_step(self.placed) | by_convention
            attributes |= self.above.decided.pop(attributes[names.STEP], {})
            self.span = self.above.tracer.start_span(
                name, below, kind=kind, attributes=attributes, start_time=self.started_at
            )
        return trace.set_span_in_context(self.span, below)


class AttemptSpan:
    """One attempt of a step. What its body calls, and spans of other libraries inside it, are below."""

    __slots__ = ("_attached", "_began", "_ended", "_pending", "_span", "_step")

    def __init__(self, pending: Pending, step: StepSpan) -> None:
        self._pending = pending
        self._step = step
        self._ended: Ended | None = None

    def __enter__(self) -> Callable[[Ended], Ended]:
        self._attached = Attached(self.begin())
        self._attached.__enter__()
        return self.came_to

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._attached.__exit__()
        self.end(error)

    def begin(self, *, ago: float = 0.0) -> Context:
        """Start the span (seconds ago) and return the context of what is below it."""
        pending = self._pending
        below = self._step.begin()
        attributes: dict[str, Any] = {
            names.EXECUTION: pending.segment.execution.id,
            names.STEP: pending.outcome.key,
            names.STEP_ATTEMPT: pending.attempt,
            names.IDEMPOTENCY_KEY_HASH: hashlib.sha256(pending.context.idempotency_key.encode()).hexdigest()[:16],
        }
        trace.get_current_span(below).set_attribute(names.STEP_ATTEMPT, pending.attempt)
        started_at = time.time_ns() - int(ago * 1e9)
        name = f"{names.ATTEMPT} {pending.attempt}"
        self._span = self._step.above.tracer.start_span(name, below, attributes=attributes, start_time=started_at)
        self._began = time.perf_counter() - ago
        return trace.set_span_in_context(self._span, below)

    def came_to(self, ended: Ended) -> Ended:
        """Take note of what the attempt came to, and give it back."""
        self._ended = ended
        return ended

    def end(self, error: BaseException | None) -> None:
        """End the span with what the attempt came to, or with what passed through it."""
        call = self._pending.call
        ended = self._ended
        if ended is not None:
            error = error or ended.error
        meant = "unknown" if ended is not None and ended.unknown else outcome(call, error)
        _end(self._span, meant, error)
        if call.kind.spends_tokens and meant in {"done", "failed", "unknown"}:
            failed = {} if error is None else {names.ERROR_TYPE: error_type(error)}
            seconds = time.perf_counter() - self._began
            self._step.above.instruments.model.record(seconds, of_model(call) | failed)


class Afterwards:
    """Create the spans of an attempt after the fact, with their real start times."""

    __slots__ = ("_attempt", "_seconds", "_step")

    def __init__(self, pending: Pending, ended: Ended, seconds: float, above: SegmentSpan) -> None:
        self._seconds = seconds
        self._step = StepSpan(pending.placed, above, ago=seconds)
        self._attempt = AttemptSpan(pending, self._step)
        self._attempt.came_to(ended)

    def __enter__(self) -> None:
        self._attempt.begin(ago=self._seconds)
        self._attempt.end(None)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._step.__exit__(kind, error, _)


def _root(segment: Segment, tracer: Tracer, links: list[Link]) -> SpanContext:
    """Return the context of a tiny span that has ended: in a trace of its own if something came before.

    Otherwise it is below the caller's span.
    """
    name = f"{names.RESUME} {segment.execution.app}"
    above = contexts.Context() if links else None
    tiny = tracer.start_span(name, above, attributes=of_execution(segment), links=links)
    tiny.end()
    return tiny.get_span_context()


def _end(span: Span, came_to: str, error: BaseException | None) -> None:
    span.set_attribute(names.STEP_OUTCOME, came_to)
    if error is not None and came_to in {"failed", "unknown", "lease_lost"}:
        span.set_attribute(names.ERROR_TYPE, error_type(error))
        span.set_status(Status(StatusCode.ERROR))
    span.end()
