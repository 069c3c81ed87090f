"""Interrupts and their decisions."""

from __future__ import annotations

from durable.checkpoint.errors import DurableError


class InvalidDecision(DurableError):
    """This decision does not fit the interrupt."""


class NotAllowedToDecide(DurableError):
    """Somebody else is to decide this."""

    def __init__(self, interrupt_id: str, by: str, why: str) -> None:
        super().__init__(f"{by!r} may not decide interrupt {interrupt_id!r}: {why}")


class ArgumentsChanged(DurableError):
    """This call does not have the arguments that were decided upon."""
