"""Telemetry: spans and metrics on the OpenTelemetry API; without an SDK they cost nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durable.checkpoint.records import Execution
    from durable.replay import Outcome
    from durable.segment import Segment
    from durable.step import Pending, StepCall


class Telemetry:
    """What this library tells the outside about its work."""

    def traceparent(self) -> str | None:
        """The caller's trace context in W3C form, to be kept in the execution's row; None if there is none."""
        return None

    @contextmanager
    def segment(self, segment: Segment) -> Iterator[None]:
        """A span around one driven segment."""
        yield

    @contextmanager
    def step(self, call: StepCall) -> Iterator[None]:
        """A span around one step; none for a step that is only replayed."""
        yield

    @contextmanager
    def attempt(self, pending: Pending) -> Iterator[None]:
        """A span around one attempt of a step."""
        yield

    def replayed(self, call: StepCall, outcome: Outcome) -> None:
        """A step was answered from the journal."""

    def interrupt_opened(self, segment: Segment, kind: str) -> None:
        """An execution waits for an answer."""

    def lease_lost(self, segment: Segment) -> None:
        """This process learned that another one owns the execution."""

    def closed(self, execution: Execution, status: str) -> None:
        """An execution was let go or has ended."""
