"""Results: what driving an execution came to, read from what is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.record.events import StepDone, unpack_if
from durable.run.handle import Handle, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durable.checkpoint.records import Record
    from durable.run.process import Process


def result_of(runtime: Process, execution_id: str) -> Result:
    """Return what is recorded of an execution now."""
    handle = Handle(runtime, execution_id)
    execution, events = handle.execution(), handle.history()
    waits = runtime.interrupts(execution_id=execution_id) if not execution.ended else []
    error = None if execution.error is None else dict(execution.error)
    output = execution.output if execution.status == "succeeded" else None
    return Result(
        execution_id, execution.status, output, error, waits, events, _usage(events), execution.correlation_id
    )


def _usage(records: Iterable[Record]) -> dict[str, int]:
    total: dict[str, int] = {}
    for record in records:
        done = unpack_if(record, StepDone)
        for key, number in ({} if done is None else done.usage or {}).items():
            total[key] = total.get(key, 0) + number
    return total
