"""Repeated: an execution that has gone back comes to an effect that was made already, beyond the point it went back to.

Never silently: by the tool's ``on_repeat`` (else the runtime's) the call is answered from the earlier one's record, or
made again with a note in the history; by default a person is asked. One of which nobody knows whether it happened is
a doubt here as well, whatever the policy says.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from durable.declare.policy import Approval
from durable.errors import Cancelled
from durable.inbox.ask import ANYONE, Unanswered, asked, question, standing, withdrawal
from durable.inbox.batch import NOTHING, Batch
from durable.inbox.kinds import IN_DOUBT, REPEAT, REPEAT_FOR_GOOD
from durable.live.past import earlier, marked
from durable.record.events import Repeated, StepDone, unpack_if
from durable.record.kinds import FRAMEWORK
from durable.step.verdicts import PASS, Finished, Pass, Stop, Wait, after

if TYPE_CHECKING:
    from durable.inbox.ask import Answer
    from durable.inbox.kinds import InterruptKind
    from durable.record.earlier import Effect
    from durable.step.call import Placed
    from durable.step.verdicts import Verdict

_SETTLES_FOR_ITSELF = frozenset({"again", "undo"})


def gate(placed: Placed) -> Verdict:
    """Return Pass if this call repeats no earlier effect, or is to do so. Blocks."""
    segment, outcome = placed.segment, placed.outcome
    interrupt = asked(segment, outcome, REPEAT) or asked(segment, outcome, REPEAT_FOR_GOOD)
    if interrupt is None:
        return _look(placed)
    answer = standing(segment, outcome)
    if isinstance(answer, Unanswered):
        return Wait(answer.batch, interrupt=answer.interrupt)
    effect = None if outcome.repeats is None else marked(segment, outcome.repeats)
    if answer is not None and effect is not None and interrupt.arguments_hash == placed.complete_hash:
        return _decided(placed, answer, effect)
    # it was asked about another call than is made now
    return after(Pass(NOTHING if answer is None else withdrawal(outcome)), _look(placed))


def _look(placed: Placed) -> Verdict:
    if not _may_repeat(placed):
        return PASS
    segment, outcome = placed.segment, placed.outcome
    with segment.usage.lock:  # of two equal calls side by side, each is matched with another effect
        known = None if outcome.repeats is None else marked(segment, outcome.repeats)
        effect = known or earlier(segment, placed.call.name, placed.arguments_hash)
        outcome.repeats = None if effect is None else effect.mark
    return PASS if effect is None else _repeats(placed, effect)


def _may_repeat(placed: Placed) -> bool:
    segment, call = placed.segment, placed.call
    if not segment.replay.origins or segment.compensates is not None:
        return False
    changes = call.policy.does.changes_world and call.kind.has_effect and call.kind is not FRAMEWORK
    return changes and placed.fresh and not placed.outcome.repeated


def _repeats(placed: Placed, effect: Effect) -> Verdict:
    if effect.result is None:
        return Wait(_did_it_happen(placed, effect))
    match placed.call.policy.on_repeat or placed.segment.runtime.on_repeat:
        case "reuse":
            return Finished(_reused(placed, effect))
        case "again":
            return Pass(Batch((Repeated(step=placed.key, repeats=list(effect.mark), repeated="again").pack(),)))
    return Wait(_what_now(placed, effect))


def _decided(placed: Placed, answer: Answer, effect: Effect) -> Verdict:
    kind = answer.decision.kind
    if kind == "undo":  # a step of its own, recorded as such before the decision is used up
        placed.segment.runtime.undo(placed.scope, placed.outcome, effect)
    used_up = answer.used_up(placed.segment, repeated=kind)
    if kind == "reuse":
        return Finished(used_up + _reused(placed, effect))
    if kind in _SETTLES_FOR_ITSELF:
        return Pass(used_up)
    return Stop(Cancelled(answer.decision.reason or "cancelled by decision"), used_up)


def _reused(placed: Placed, effect: Effect) -> Batch:
    """Return the record that gives the call what the earlier one came to."""
    result, was = effect.result, unpack_if(effect.result, StepDone)
    lost = {} if was is None else {"result_lost": was.result_lost, "repr": was.repr}
    done = StepDone.of(placed.about, **lost, repeats=list(effect.mark), repeated="reuse")
    return Batch((done.pack(placed.key, None if result is None else result.stored),))


def _what_now(placed: Placed, effect: Effect) -> Batch:
    name = placed.call.name
    kind = REPEAT_FOR_GOOD if effect.given is None else REPEAT
    undo = "" if effect.given is None else ", or undo it first (undo)"
    words = f"{name} happened {_when(effect)}: take its result (reuse), do it again (again){undo}?"
    return _question(placed, effect, kind, {"question": words, "undo": effect.given is not None})


def _did_it_happen(placed: Placed, effect: Effect) -> Batch:
    words = f"{placed.call.name} was begun {_when(effect)}, and nobody knows whether it happened: did it?"
    return _question(placed, effect, IN_DOUBT, {"question": words})


def _question(placed: Placed, effect: Effect, kind: InterruptKind, said: dict[str, Any]) -> Batch:
    call = placed.call
    happened = {"execution": effect.execution_id, "step": effect.step_key, "at": effect.at}
    return question(
        placed.segment,
        placed.outcome,
        kind,
        {"arguments": call.complete, "tool": call.name, "earlier": happened, **said},
        tool=call.name,
        arguments_hash=placed.complete_hash,
        rule=f"the execution went back, and it was made {_when(effect)}",
        gate=_by_whom(call.policy.gate),
        about=placed.about,
        repeats=effect.mark,
    )


def _by_whom(gate: Approval | None) -> Approval:
    """Those who would have to approve the call say what becomes of it; there is no hurry."""
    if gate is None:
        return ANYONE
    return Approval(approvers=gate.approvers, quorum=gate.quorum, requester_may_approve=gate.requester_may_approve)


def _when(effect: Effect) -> str:
    at = datetime.fromtimestamp(effect.at, UTC)
    return f"at {at:%Y-%m-%d %H:%M:%S} UTC in execution {effect.execution_id}"
