"""Drift: the code makes another call than the one that is recorded in its place.

Never guessed: a person is shown both sides, and nothing runs meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.errors import Cancelled, Suspended
from durable.inbox.ask import answer_to, ask_person

if TYPE_CHECKING:
    from durable.live.segment import Segment
    from durable.record.replay import Outcome


def over(segment: Segment, outcome: Outcome) -> None:
    """The code fits the record (again): what was asked about a difference needs no answer any more."""
    asked = segment.interrupt(outcome.interrupt or "")
    if asked is not None and asked.kind == "drift":
        segment.withdraw(outcome)


def settle(segment: Segment, outcome: Outcome, *, name: str, arguments: Any, arguments_hash: str) -> None:
    """Return if the difference was accepted: what is recorded counts.

    Raises Suspended while a person is asked, Cancelled if that is the answer.
    """
    asked = segment.interrupt(outcome.interrupt or "")
    if asked is not None and asked.kind != "drift":
        segment.withdraw(outcome)  # what was asked about the recorded call says nothing about this one
    answer = answer_to(segment, outcome)
    if answer is None:
        subject = {
            "recorded": {"name": outcome.name, "arguments_hash": outcome.arguments_hash, "step": outcome.key},
            "now": {"name": name, "arguments_hash": arguments_hash, "arguments": arguments},
        }
        ask_person(segment, outcome, "drift", subject, tool=name, arguments_hash=arguments_hash)
        raise Suspended
    accepted = answer.decision.kind == "approve"
    record, consume = answer.closing(segment, accepted=accepted)
    segment.append(record, companions=[consume])
    if not accepted:
        raise Cancelled(answer.decision.reason or "cancelled by decision")
    outcome.accepted = outcome.taken = True
