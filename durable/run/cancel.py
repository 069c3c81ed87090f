"""Cancel an execution that nobody drives; one with a call in doubt ends when that is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.checkpoint import executions
from durable.errors import Cancelled, ExecutionBusy, ExecutionClosed
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


def end_if_cancelled(runtime: Process, execution_id: str) -> None:
    """End an execution that is cancelled and waited for an answer only; a worker does it if this process cannot."""
    with runtime.database.read() as connection:
        execution = executions.get(connection, runtime.namespace, execution_id, runtime.load)
    if execution.cancel_reason is None or execution.ended:
        return
    try:
        cancel_here(runtime, execution_id)
    except ExecutionBusy:
        return
