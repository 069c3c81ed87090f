"""Cancel an execution that nobody drives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.errors import (
    Cancelled,
    ExecutionClosed,
)
from durable.run import compensation
from durable.run.close import close
from durable.run.open import open_segment

if TYPE_CHECKING:
    from durable.run.process import Process


def cancel_here(runtime: Process, execution_id: str) -> None:
    """End an execution that nobody drives and that is to be cancelled, without its app."""
    if compensation.is_for_others(runtime, execution_id):
        return
    try:
        segment = open_segment(runtime, execution_id, forced=True)
    except ExecutionClosed:
        return
    reason = segment.execution.cancel_reason or "cancelled"
    close(segment, None, Cancelled(reason))
