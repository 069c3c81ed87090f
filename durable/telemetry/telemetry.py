"""Send spans and metrics to the OpenTelemetry API; without an SDK they cost next to nothing.

A segment of an execution that is driven here is a span, and so is each step in it and each attempt of a step. What is
replayed is an event. Whether anybody listens is asked once a segment. The names are in ``names``, what spans say in
``attributes``, how a trace outlives its process in ``lineage``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace

from durable.telemetry import names
from durable.telemetry.attributes import of_step
from durable.telemetry.lineage import traceparent
from durable.telemetry.metrics import Instruments
from durable.telemetry.spans import Afterwards, Attached, AttemptSpan, SegmentSpan, StepSpan

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from durable.inbox.ask import Answer
    from durable.inbox.kinds import InterruptKind
    from durable.live.segment import Segment
    from durable.step.attempt import Ended
    from durable.step.call import Pending, Placed


class Telemetry:
    """Telemetry of this library: to the global providers, or to those given here."""

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._providers = (tracer_provider, meter_provider)
        self._tracer = trace.get_tracer(names.SCOPE, tracer_provider=tracer_provider)
        self._instruments = Instruments(metrics.get_meter(names.SCOPE, meter_provider=meter_provider))

    @property
    def active(self) -> bool:
        """True if there is an SDK: the API's own providers drop everything."""
        tracers, meters = self._providers
        return _listens(tracers or trace.get_tracer_provider()) or _listens(meters or metrics.get_meter_provider())

    def begin(self, app: str, execution_id: str, namespace: str) -> Beginning:
        """Return the trace context of a new execution, to be kept in its row."""
        if not self.active:
            return Beginning(trace.get_current_span(), ours=False)
        attributes = {names.AGENT: app, names.EXECUTION: execution_id, names.NAMESPACE: namespace}
        return Beginning(self._tracer.start_span(f"{names.START} {app}", attributes=attributes), ours=True)

    def opened(self, segment: Segment) -> None:
        """Begin the segment's span: a claim was made."""
        if self.active:
            segment.span = SegmentSpan(segment, self._tracer, self._instruments)
            if segment.recovered:
                self._instruments.recoveries.add(1, {names.AGENT: segment.execution.app})

    def segment(self, segment: Segment) -> AbstractContextManager[None]:
        """Return a context manager for work of this segment: spans of others inside it are below its span."""
        return NOTHING if segment.span is None else Attached(segment.span.context)

    def step(self, placed: Placed) -> AbstractContextManager[object]:
        """Return a span around one step; none for a step that is only replayed."""
        above = placed.segment.span
        return NOTHING if above is None else StepSpan(placed, above)

    def attempt(self, pending: Pending) -> AbstractContextManager[Callable[[Ended], Ended]]:
        """Return a span around one attempt of a step. Call what it yields with what the attempt came to."""
        step = pending.placed.span
        return NO_ATTEMPT if step is None else AttemptSpan(pending, step)

    def completing(self, pending: Pending, ended: Ended, seconds: float) -> AbstractContextManager[None]:
        """Return a context manager for recording an attempt.

        An attempt that had no span while it ran gets its spans here.
        """
        above = pending.segment.span
        if above is None or pending.placed.span is not None:
            return NOTHING
        return Afterwards(pending, ended, seconds, above)

    def replayed(self, placed: Placed) -> None:
        """Note that a step was answered from the journal."""
        above = placed.segment.span
        record = placed.outcome.result
        if above is None or (placed.span is not None and placed.span.span is not None):
            return
        attributes = {**of_step(placed), names.REPLAYED: True}
        if record is not None:
            attributes |= {names.STEP_SEQ: record.seq, names.STEP_EPOCH: record.epoch}
        above.add_replayed(attributes)

    def interrupt_opened(self, segment: Segment, interrupt_id: str, kind: InterruptKind, step_key: str) -> None:
        """Note that an execution waits for an answer."""
        if kind.is_doubt:
            self._instruments.in_doubt.add(1, {names.AGENT: segment.execution.app})
        if segment.span is not None:
            attributes = {names.INTERRUPT: interrupt_id, names.INTERRUPT_KIND: kind.name, names.STEP: step_key}
            segment.span.span.add_event(names.INTERRUPT_OPENED, attributes)

    def decided(self, segment: Segment, answer: Answer) -> None:
        """Note that a decision is taken into the journal."""
        interrupt = answer.interrupt
        decision = answer.decision.kind
        if interrupt.decided_at is not None:
            about = {names.INTERRUPT_KIND: interrupt.kind, names.DECISION: decision}
            self._instruments.approval.record(max(0.0, interrupt.decided_at - interrupt.created_at), about)
        if segment.span is not None:
            attributes = {names.INTERRUPT: interrupt.id, names.INTERRUPT_KIND: interrupt.kind, names.DECISION: decision}
            segment.span.decided[interrupt.step_key] = attributes
            segment.span.span.add_event(names.INTERRUPT_CLOSED, {**attributes, names.STEP: interrupt.step_key})

    def ended(self, segment: Segment, status: str, error: BaseException | None = None) -> None:
        """Note that an execution was let go or has ended; ``lease_lost`` if another worker owns it."""
        about = {names.AGENT: segment.execution.app}
        if status == "lease_lost":
            self._instruments.leases_lost.add(1, about)
        else:
            self._instruments.executions.add(1, {**about, names.STATUS: status})
        if segment.span is not None:
            segment.span.end(status, error)

    def committed(self, seconds: float) -> None:
        """Note a commit of the journal's writer. Nothing that goes wrong here may look like a failed commit."""
        with suppress(Exception):
            self._instruments.commit.record(seconds)


class Beginning:
    """Span that has ended before any work starts, so that whatever comes later has a parent that was exported."""

    def __init__(self, span: trace.Span, *, ours: bool) -> None:
        self.traceparent = traceparent(span)
        self._span = span if ours else None

    def end(self) -> None:
        """End the span: the execution is new.

        Not called for one that was there before, whose own span was ended then.
        """
        if self._span is not None:
            self._span.end()


class _Nothing:
    """Context manager that does nothing, shared by all."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


class _NoAttempt(_Nothing):
    __slots__ = ()

    def __enter__(self) -> Callable[[Ended], Ended]:  # type: ignore[override]  # an attempt yields a function
        return _same


def _same(ended: Ended) -> Ended:
    return ended


NOTHING = _Nothing()
NO_ATTEMPT = _NoAttempt()


def _listens(provider: Any) -> bool:
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))
