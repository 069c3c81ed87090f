"""``DURABLE_DEMO_TRACE=1 make demo`` prints each span as it ends: one line, with its trace and what it links to."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor


def line(span: ReadableSpan) -> str:
    """A span as one line."""
    context = span.context
    took = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
    trace_id = f"{context.trace_id:032x}"[:8] if context else ""
    events = ", ".join(event.name for event in span.events)
    more = f" links {len(span.links)}" if span.links else ""
    return f"  span {trace_id} {span.name:<34} {took:8.1f} ms{more}{f' [{events}]' if events else ''}\n"


def print_spans() -> None:
    """Install the printer for this process; once, before the first execution."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=line)))
    trace.set_tracer_provider(provider)
