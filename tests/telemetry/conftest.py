"""Fixtures of the telemetry tests: a listener that keeps every span and every measurement in memory."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from durable import Runtime
from durable.telemetry.telemetry import Telemetry


class Listener:
    """What was told, by name."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])

    def telemetry(self):
        return Telemetry(self.tracers, self.meters)

    @property
    def spans(self):
        """All spans that have ended, in the order in which they began."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time)

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def one(self, name):
        (found,) = self.named(name)
        return found

    def tree(self):
        """Each span as ``path/to/name``, from its root on, in the order in which they began."""
        by_id = {span.context.span_id: span for span in self.spans}

        def path(span):
            above = by_id.get(span.parent.span_id) if span.parent else None
            return span.name if above is None else f"{path(above)}/{span.name}"

        return [path(span) for span in self.spans]

    def measured(self):
        """Every data point: (name, its attributes) -> value of a counter, or number of values of a histogram."""
        found = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        value = point.count if hasattr(point, "count") else point.value
                        found[metric.name, tuple(sorted(point.attributes.items()))] = value
        return found

    def close(self):
        self.tracers.shutdown()
        self.meters.shutdown()


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.close()


@pytest.fixture
def runtime(sqlite_url, listener):
    with Runtime(sqlite_url, telemetry=listener.telemetry()) as made:
        yield made
