"""Ahead: what was decided about a call, told before the call is made, to a framework that wants to know first.

The decision is not used up by that: the call itself takes it, as always, when it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from durable.errors import Suspended
from durable.record.events import StepFailed, unpack_if
from durable.step.begin import begin_step, place

if TYPE_CHECKING:
    from durable.checkpoint.records import Record
    from durable.step.call import Call, Placed


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says that the call may be made, or (``rejected``) in words for the agent why not."""

    rejected: str | None = None


def decided_ahead(call: Call) -> Verdict | None:
    """Return what was decided about a gated call, None while that is open; ask if nobody was asked yet. Blocks.

    Raises what ``begin_step`` raises, but Suspended.
    """
    segment, placed = call.segment, place(call)
    if placed.match is not None and placed.fits:
        if not placed.match.is_new:
            return Verdict(_rejected(placed.match.result))
        if _may_be_made(placed):
            return Verdict()
    try:
        with segment.working():
            begin_step(placed)
    except Suspended:
        return None
    return Verdict(_rejected(placed.outcome.result))


def _may_be_made(placed: Placed) -> bool:
    """True if somebody has decided on the call as it is made now, and has not rejected it."""
    interrupt = placed.segment.interrupt(placed.outcome.interrupt or "")
    if interrupt is None or interrupt.status != "decided" or interrupt.arguments_hash != placed.complete_hash:
        return False
    return (interrupt.decision or {}).get("kind") != "reject"


def _rejected(record: Record | None) -> str | None:
    """Return why a call was rejected, if it was."""
    failed = unpack_if(record, StepFailed)
    return None if failed is None else failed.rejected
