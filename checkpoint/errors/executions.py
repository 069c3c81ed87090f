"""Executions: started, owned, ended."""

from __future__ import annotations

from durable.checkpoint.errors.base import DurableError


class ExecutionNotFound(DurableError):
    """No execution has this id in this namespace."""

    def __init__(self, execution_id: str, namespace: str) -> None:
        super().__init__(f"no execution {execution_id!r} in namespace {namespace!r}; `durable list` shows them")


class ExecutionConflict(DurableError):
    """The id is taken by an execution with another input, app, thread or namespace."""

    def __init__(self, execution_id: str, what: str) -> None:
        super().__init__(
            f"execution {execution_id!r} exists with another {what}; use a new id, or the same {what} to resume it"
        )


class ExecutionBusy(DurableError):
    """Another live worker owns the execution."""

    def __init__(self, execution_id: str, owner: str, seconds: float) -> None:
        super().__init__(
            f"execution {execution_id!r} is owned by {owner} for another {seconds:.1f} s; "
            "wait for it with runtime.get(id).result(), or retry when its lease has expired"
        )


class ExecutionClosed(DurableError):
    """The execution has ended; nothing can be changed in it."""

    def __init__(self, execution_id: str, status: str, what: str) -> None:
        super().__init__(f"cannot {what} execution {execution_id!r}: it is {status}")


class ThreadBusy(DurableError):
    """At most one execution per thread may be open."""

    def __init__(self, thread: str, execution_id: str, status: str) -> None:
        self.execution_id = execution_id
        super().__init__(
            f"thread {thread!r} has the open execution {execution_id!r} ({status}); resume it (the same input or "
            "None, or runtime.recover()), wait for it, or cancel it before new input"
        )


class SignalConflict(DurableError):
    """The id is taken by a signal with another name or payload."""

    def __init__(self, execution_id: str, sent_as: str) -> None:
        super().__init__(
            f"signal {sent_as!r} was sent to execution {execution_id!r} before with another name or payload; "
            "give each signal an id of its own"
        )


class LeaseLost(DurableError):
    """Another worker owns the execution now; nothing was written."""

    def __init__(self, execution_id: str, epoch: int) -> None:
        super().__init__(
            f"execution {execution_id!r} was claimed by another worker after epoch {epoch}; nothing was written, "
            "the new owner goes on"
        )


class ExecutionFailed(DurableError):
    """The execution ended with an error."""

    def __init__(self, execution_id: str, status: str, error_type: str, message: str) -> None:
        self.execution_id = execution_id
        self.error_type = error_type
        super().__init__(
            f"execution {execution_id!r} {status}: {error_type}: {message}; "
            "`durable history` shows where, `durable retry` continues it from its last finished step"
        )


class ExecutionCancelled(DurableError):
    """The execution was cancelled."""

    def __init__(self, execution_id: str, reason: str) -> None:
        self.execution_id = execution_id
        super().__init__(f"execution {execution_id!r} was cancelled: {reason}")


class CompensationFailed(DurableError):
    """A call could not be undone; what was to be undone after it was not touched."""

    def __init__(self, tool: str, why: str, rest: list[str]) -> None:
        self.tool = tool
        self.rest = rest
        untouched = f"not undone either: {', '.join(rest)}" if rest else "it was the last one"
        super().__init__(
            f"{tool} could not be compensated: {why}; {untouched}; `durable history` shows what was undone, "
            "`durable retry` tries this one again and goes on"
        )


class ExecutionSuspended(DurableError):
    """The execution waits for a decision, a signal or a time."""

    def __init__(self, execution_id: str, interrupts: list[str]) -> None:
        self.execution_id = execution_id
        self.interrupts = interrupts
        asked = f"decide {', '.join(sorted(interrupts))}" if interrupts else "nothing is to be decided"
        super().__init__(
            f"execution {execution_id!r} waits and holds nothing meanwhile ({asked}; `durable show` tells what for); "
            "then call again with this execution id, or let a worker go on"
        )


class DeadlineExceeded(DurableError):
    """The execution's deadline has passed; no further step was started."""


class BudgetExceeded(DurableError):
    """The execution has used up its budget; no further step was started."""

    def __init__(self, execution_id: str, spent: str, why: str = "raise the budget, then `durable retry`") -> None:
        super().__init__(f"execution {execution_id!r} has used up its budget ({spent}): {why}")


class NoExecution(DurableError):
    """There is no durable execution here; call this from inside a tool, a step or a durable function."""
