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
    from durable.step.call import StepCall


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says that the call may be made, or (``rejected``) in words for the agent why not."""

    rejected: str | None = None


def decided_ahead(call: StepCall) -> Verdict | None:
    """Return what was decided about a gated call, None while that is open; ask if nobody was asked yet. Blocks.

    Raises what ``begin_step`` raises, but Suspended.
    """
    segment = call.scope.segment
    place(call)
    outcome = call.outcome
    if outcome is not None and call.fits:
        if outcome.progress != "new":
            return Verdict(_rejected(outcome.result))
        asked = segment.interrupt(outcome.interrupt or "")
        decided = asked is not None and asked.status == "decided" and asked.arguments_hash == call.complete_hash
        if decided and asked is not None and (asked.decision or {}).get("kind") != "reject":
            return Verdict()
    try:
        with segment.working():
            begin_step(call)
    except Suspended:
        return None
    return Verdict(None if call.outcome is None else _rejected(call.outcome.result))


def _rejected(record: Record | None) -> str | None:
    """Return why a call was rejected, if it was."""
    failed = unpack_if(record, StepFailed)
    return None if failed is None else failed.rejected
