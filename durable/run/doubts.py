"""Doubts: what ends the waiting of an execution ends no doubt. It is closed when nothing in it is in doubt any more.

An execution that is cancelled, or that new input on its thread supersedes, may have a call of which nobody knows
whether it happened. The question stays in the inbox, and its answer in the history of that execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.declare.effects import effect_of
from durable.inbox.ask import Answer, Unanswered, asked, question, standing
from durable.inbox.batch import Batch, commit
from durable.inbox.kinds import IN_DOUBT
from durable.record.events import Called, InterruptClosed, StepDone, StepFailed, unpack_if

if TYPE_CHECKING:
    from durable.live.segment import Segment
    from durable.record.replay import Outcome


def remain(segment: Segment) -> bool:
    """Take what was answered about doubts into the journal. True if one is open: it is waited for."""
    is_open = False
    for outcome in list(segment.replay.steps.values()):
        if asked(segment, outcome, IN_DOUBT) is not None:
            is_open |= _is_left_open(segment, outcome)
        elif _is_doubtful(segment, outcome):
            commit(segment, _question(segment, outcome))
            is_open = True
    return is_open


def _question(segment: Segment, outcome: Outcome) -> Batch:
    name, hashed = outcome.name, outcome.arguments_hash
    subject = {"tool": name, "question": f"did {name} happen?"}
    return question(segment, outcome, IN_DOUBT, subject, tool=name, arguments_hash=hashed, about=_about(outcome))


def _is_left_open(segment: Segment, outcome: Outcome) -> bool:
    answer = standing(segment, outcome)
    if isinstance(answer, Unanswered):
        commit(segment, answer.batch)
        segment.wait_for(answer.interrupt)
    elif isinstance(answer, Answer):
        commit(segment, answer.used_up(segment) + _as_answered(segment, outcome, answer))
    return isinstance(answer, Unanswered)


def _as_answered(segment: Segment, outcome: Outcome, answer: Answer) -> Batch:
    """Return the outcome that the answer gives the call; none, if a person has only closed the question."""
    about = _about(outcome)
    if answer.decision.kind == "happened":
        value = segment.runtime.codec.encode(answer.decision.value, what=f"the result of {outcome.name}")
        return Batch((StepDone.of(about, by=answer.interrupt.decided_by).pack(outcome.key, value),))
    if answer.decision.kind == "did_not_happen":
        return Batch((StepFailed.of(about, happened=False, by=answer.interrupt.decided_by).pack(outcome.key),))
    return Batch()


def _about(outcome: Outcome) -> Called:
    return Called(name=outcome.name, arguments_hash=outcome.arguments_hash, effect=outcome.effect)


def _is_doubtful(segment: Segment, outcome: Outcome) -> bool:
    """True if the call began, nobody knows what came of it, and nobody was asked or has closed the question."""
    if not (outcome.is_started and effect_of(outcome.effect).settles):
        return False
    closed = (unpack_if(record, InterruptClosed) for record in segment.records if record.step_key == outcome.key)
    return not any(event is not None and event.decision == "cancel" for event in closed)
