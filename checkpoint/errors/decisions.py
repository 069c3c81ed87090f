"""Interrupts and their decisions."""

from __future__ import annotations

from durable.checkpoint.errors.base import DurableError


class InterruptNotFound(DurableError):
    """No such interrupt in this namespace."""

    def __init__(self, interrupt_id: str) -> None:
        super().__init__(f"no interrupt {interrupt_id!r}; `durable approvals list` shows the open ones")


class InvalidDecision(DurableError):
    """The decision does not fit the interrupt."""


class NotAllowedToDecide(DurableError):
    """Somebody else is to decide this."""

    def __init__(self, interrupt_id: str, by: str, why: str) -> None:
        super().__init__(f"{by!r} may not decide interrupt {interrupt_id!r}: {why}")


class AlreadyDecided(DurableError):
    """Another decision came first; the first one counts."""

    def __init__(self, interrupt_id: str, status: str, by: str | None) -> None:
        super().__init__(f"interrupt {interrupt_id!r} is already {status}" + (f" by {by}" if by else ""))


class DecisionExpired(DurableError):
    """The interrupt's time to be decided was over."""

    def __init__(self, interrupt_id: str) -> None:
        super().__init__(f"interrupt {interrupt_id!r} expired before this decision; the execution went on without it")


class ArgumentsChanged(DurableError):
    """The call does not have the arguments that were decided upon."""
