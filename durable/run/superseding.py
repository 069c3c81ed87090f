"""Superseding: new input on a thread ends the waiting of the execution that has the thread, and no doubt of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.checkpoint import executions
from durable.run.handle import Handle

if TYPE_CHECKING:
    from durable.run.process import Process


def superseded(runtime: Process, waiting: str, by: str) -> bool:
    """Cancel an execution that waits. True if its thread is free now; False if it does not wait.

    One with a call in doubt leaves the thread, and ends when that is answered.
    """
    handle = Handle(runtime, waiting)
    if handle.status != "suspended":
        return False
    handle.cancel(f"superseded by execution {by!r}: new input on its thread", compensate=False)
    if handle.status != "suspended":
        return handle.status == "cancelled"
    runtime.database.transact(lambda connection: executions.leave_thread(connection, waiting))
    return True
