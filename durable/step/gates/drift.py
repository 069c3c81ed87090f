"""Drift: the code makes another call than the one that is recorded in its place.

Never guessed: a person is shown both sides, and nothing runs meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.errors import Cancelled
from durable.inbox.ask import Unanswered, asked, question, standing, withdrawal
from durable.inbox.batch import NOTHING, Batch
from durable.inbox.kinds import DRIFT
from durable.record.events import InputDiffers
from durable.step.verdicts import PASS, Pass, Stop, Wait, after

if TYPE_CHECKING:
    from durable.live.segment import Segment
    from durable.record.replay import Outcome
    from durable.step.call import Placed
    from durable.step.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Made:
    """Call that the code makes now."""

    name: str
    arguments: Any
    arguments_hash: str


def gate(placed: Placed) -> Verdict:
    """Return Pass if the call fits its record, or if what differs is accepted."""
    segment, outcome, call = placed.segment, placed.outcome, placed.call
    now = Made(call.name, call.arguments, placed.arguments_hash)
    if placed.fits:
        verdict: Verdict = Pass(resolved(segment, outcome))
    elif call.tolerates_new_input:
        note = InputDiffers(recorded=outcome.arguments_hash, now=placed.arguments_hash, step=outcome.key)
        verdict = Pass(Batch((note.pack(),)))
    else:
        verdict = settled(segment, outcome, now)
    if not isinstance(verdict, Pass):
        return verdict
    placed.fits = outcome.taken = True
    return after(verdict, _passed_over(segment, placed, now))


THE_END = Made("", None, "")
"""No call: the code has ended."""


def at_the_end(segment: Segment) -> Verdict:
    """Return Pass if nothing on record was left out by code that has ended, or if that is accepted."""
    verdict: Verdict = PASS
    while isinstance(verdict, Pass) and (skipped := segment.not_reached()) is not None:
        verdict = after(verdict, settled(segment, skipped, THE_END))
    return verdict


def resolved(segment: Segment, outcome: Outcome) -> Batch:
    """Return what takes back the question about a difference, where there is one: the code fits the record again."""
    return NOTHING if asked(segment, outcome, DRIFT) is None else withdrawal(outcome)


def settled(segment: Segment, outcome: Outcome, now: Made) -> Verdict:
    """Return Pass if the difference was accepted: what is recorded counts. A person is asked if nobody was."""
    is_asked = asked(segment, outcome, DRIFT) is not None
    answer = standing(segment, outcome) if is_asked else None
    if isinstance(answer, Unanswered):
        return Wait(answer.batch, interrupt=answer.interrupt)
    if answer is None:  # what was asked about the recorded call says nothing about this one
        is_about_the_record = segment.interrupt(outcome.interrupt or "") is not None and not is_asked
        withdrawn = withdrawal(outcome) if is_about_the_record else NOTHING
        return Wait(withdrawn + _both_sides(segment, outcome, now))
    if answer.decision.kind != "approve":
        reason = answer.decision.reason or "cancelled by decision"
        return Stop(Cancelled(reason), answer.used_up(segment, accepted=False))
    outcome.taken = True
    return Pass(answer.used_up(segment, accepted=True))


def _both_sides(segment: Segment, outcome: Outcome, now: Made) -> Batch:
    subject = {
        "recorded": {"name": outcome.name, "arguments_hash": outcome.arguments_hash, "step": outcome.key},
        "now": {"name": now.name, "arguments_hash": now.arguments_hash, "arguments": now.arguments},
    }
    return question(segment, outcome, DRIFT, subject, tool=now.name, arguments_hash=now.arguments_hash)


def _passed_over(segment: Segment, placed: Placed, now: Made) -> Verdict:
    """Ask about each recorded effect for which this new one may be standing in."""
    verdict: Verdict = PASS
    while isinstance(verdict, Pass) and _takes_a_place(placed):
        skipped = segment.passed_over(placed.scope.path)
        if skipped is None:
            break
        verdict = after(verdict, settled(segment, skipped, now))
    return verdict


def _takes_a_place(placed: Placed) -> bool:
    """True if this new effect may be standing in for a recorded effect that the code has not reached yet."""
    outcome = placed.outcome
    is_new = placed.outcome.is_new and outcome.interrupt is None
    return is_new and outcome.number > 0 and not placed.in_branch and placed.call.policy.does.changes_world
