"""Drift of an agent: what the journal holds was made by an agent that has something this one has not.

The SDK would fail the run, or go on differently. Here the execution stops at an interrupt that shows both sides: deploy
what fits and approve, approve to go on as it is now, or cancel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.errors import Cancelled, Suspended
from durable.inbox.ask import answer_to, ask_person
from durable.inbox.kinds import DRIFT
from durable.record.events import Called

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.live.segment import Segment


def settle(segment: Segment, key: str, *, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Return if the difference was accepted. Blocks. Raises Suspended while a person is asked, Cancelled."""
    outcome = segment.replay.at(key)
    if outcome.accepted:
        return
    answer = answer_to(segment, outcome)
    if answer is None:
        subject = {
            "recorded": dict(recorded),
            "now": dict(now),
            "question": "approve when what runs now fits, or to go on as it is; or cancel",
        }
        ask_person(segment, outcome, DRIFT, subject, about=Called(name="drift", arguments_hash=""))
        raise Suspended
    accepted = answer.decision.kind == "approve"
    closed, consume = answer.closing(segment, accepted=accepted)
    segment.append(closed, companions=[consume])
    if not accepted:
        raise Cancelled(answer.decision.reason or "cancelled by decision")


def withdraw(segment: Segment, key: str) -> None:
    """The code fits (again): take the question back, if it was asked. Blocks only if it was."""
    outcome = segment.replay.steps.get(key)
    if outcome is not None and outcome.interrupt is not None:
        segment.withdraw(outcome)
