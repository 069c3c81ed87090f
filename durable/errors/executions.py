"""Executions: started, owned, ended."""

from __future__ import annotations

from durable.checkpoint.errors import DurableError


class ExecutionFailed(DurableError):
    """This execution ended with an error."""

    def __init__(self, execution_id: str, status: str, error_type: str, message: str) -> None:
        self.execution_id = execution_id
        self.error_type = error_type
        super().__init__(
            f"execution {execution_id!r} {status}: {error_type}: {message}; "
            "`durable history` shows where, `durable retry` continues it from its last finished step"
        )


class ExecutionCancelled(DurableError):
    """This execution was cancelled."""

    def __init__(self, execution_id: str, reason: str) -> None:
        self.execution_id = execution_id
        super().__init__(f"execution {execution_id!r} was cancelled: {reason}")


class CompensationFailed(DurableError):
    """One call could not be undone; what was to be undone after it was not touched."""

    def __init__(self, tool: str, why: str, remaining: list[str]) -> None:
        self.tool = tool
        self.rest = remaining
        untouched = f"not undone either: {', '.join(remaining)}" if remaining else "it was the last one"
        super().__init__(
            f"{tool} could not be compensated: {why}; {untouched}; `durable history` shows what was undone, "
            "`durable retry` tries this one again and goes on"
        )


class ExecutionSuspended(DurableError):
    """This execution waits for a decision, a signal or a time."""

    def __init__(self, execution_id: str, interrupts: list[str]) -> None:
        self.execution_id = execution_id
        self.interrupts = interrupts
        remedy = f"decide {', '.join(sorted(interrupts))}" if interrupts else "nothing is to be decided"
        super().__init__(
            f"execution {execution_id!r} waits and holds nothing meanwhile ({remedy}; `durable show` tells what for); "
            "then call again with this execution id, or let a worker go on"
        )


class DeadlineExceeded(DurableError):
    """This execution's deadline has passed; no further step was started."""


class BudgetExceeded(DurableError):
    """This execution has used up its budget; no further step was started."""

    def __init__(self, execution_id: str, spent: str, why: str = "raise the budget, then `durable retry`") -> None:
        super().__init__(f"execution {execution_id!r} has used up its budget ({spent}): {why}")


class NoExecution(DurableError):
    """No durable execution is running here; call this from inside a tool, a step or a durable function."""
