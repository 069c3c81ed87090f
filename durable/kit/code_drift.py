"""Code drift: what the journal holds was made by code that has something which this code has not.

A framework would fail, drop work, or go on differently. Here the execution stops at an interrupt that shows both sides,
and goes on when somebody has approved, or when code that fits is deployed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.errors import Cancelled, Suspended
from durable.inbox.ask import answer_to, ask_person
from durable.inbox.kinds import DRIFT
from durable.record.events import Called

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.live.segment import Segment


@dataclass(frozen=True, slots=True)
class Difference:
    """Both sides of a drift, and what a person is asked about it.

    With ``can_go_on`` an approval accepts it for good; without, it means to look again, and to ask again if nothing
    has changed.
    """

    recorded: Mapping[str, Any]
    now: Mapping[str, Any]
    question: str = "approve when what runs now fits, or to go on as it is; or cancel"
    can_go_on: bool = True


def compare(segment: Segment, key: str, difference: Difference | None) -> None:
    """Return if the code fits, or if the difference was accepted. Blocks.

    If it fits (again), a question that was asked about it is taken back. Raises Suspended while a person is asked, and
    Cancelled if that is the answer.
    """
    if difference is None:
        before = segment.replay.steps.get(key)
        if before is not None and before.interrupt is not None:
            segment.withdraw(before)
        return
    outcome = segment.replay.at(key)
    if outcome.accepted:
        return
    answer = answer_to(segment, outcome)
    if answer is not None:
        approved = answer.decision.kind == "approve"
        closed, consume = answer.closing(segment, accepted=approved and difference.can_go_on)
        segment.append(closed, companions=[consume])
        if not approved:
            raise Cancelled(answer.decision.reason or "cancelled by decision")
        if difference.can_go_on:
            return
    subject = {"recorded": dict(difference.recorded), "now": dict(difference.now), "question": difference.question}
    ask_person(segment, outcome, DRIFT, subject, about=Called(name="drift", arguments_hash=""))
    raise Suspended
