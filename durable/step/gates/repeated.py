"""Repeated: an execution that has gone back comes to an effect that was made already, beyond the point it went back to.

Never silently: by the tool's ``on_repeat`` (else the runtime's) the call is answered from the earlier one's record, or
made again with a note in the history; by default a person is asked. One of which nobody knows whether it happened is
a doubt here as well, whatever the policy says.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from durable.checkpoint.records import NewRecord
from durable.declare.policy import Approval
from durable.errors import Cancelled, Suspended
from durable.inbox.ask import ask_person
from durable.live.past import earlier, marked
from durable.record.earlier import INNER
from durable.record.replay import EFFECTS

if TYPE_CHECKING:
    from durable.inbox.ask import Answer
    from durable.record.earlier import Effect
    from durable.record.replay import Outcome
    from durable.step.call import StepCall


def finished(call: StepCall, outcome: Outcome, answer: Answer | None) -> bool:
    """Return True if the call has its outcome now, False if it may run.

    Raises Suspended while a person is asked, Cancelled if that is the answer.
    """
    if answer is not None and answer.interrupt.kind == "repeat":
        return _decided(call, outcome, answer)
    return _settled(call, outcome)


def _settled(call: StepCall, outcome: Outcome) -> bool:
    if not _looks(call, outcome):
        return False
    with call.scope.segment.ledger.lock:  # of two equal calls side by side, each is matched with another effect
        effect = _matching(call, outcome)
        outcome.repeats = None if effect is None else effect.mark
    if effect is None:
        return False
    if effect.result is None:
        _ask_whether_it_happened(call, outcome, effect)
    match call.policy.on_repeat or call.scope.segment.runtime.on_repeat:
        case "reuse":
            call.scope.segment.append(_reused(call, outcome, effect))
            return True
        case "again":
            said = call.meta(event="repeated", repeats=list(effect.mark), repeated="again")
            call.scope.segment.append(NewRecord("note", outcome.key, said))
            return False
    _ask(call, outcome, effect)
    raise Suspended


def _decided(call: StepCall, outcome: Outcome, answer: Answer) -> bool:
    segment, kind = call.scope.segment, answer.decision.kind
    effect = None if outcome.repeats is None else marked(segment, outcome.repeats)
    if effect is None or answer.interrupt.arguments_hash != call.complete_hash:
        segment.withdraw(outcome)  # it was asked about another call than is made now
        return _settled(call, outcome)
    if kind == "undo":
        segment.runtime.undo(call.scope, outcome, effect)
    closed, consume = answer.closing(segment, repeated=kind)
    if kind == "reuse":
        segment.append(closed, _reused(call, outcome, effect), companions=[consume])
        return True
    segment.append(closed, companions=[consume])
    if kind == "cancel":
        raise Cancelled(answer.decision.reason or "cancelled by decision")
    return False


def _looks(call: StepCall, outcome: Outcome) -> bool:
    segment = call.scope.segment
    if not segment.replay.origins or segment.compensates is not None or outcome.repeated:
        return False
    return call.policy.effect in EFFECTS and not call.composite and call.kind != INNER


def _matching(call: StepCall, outcome: Outcome) -> Effect | None:
    segment = call.scope.segment
    known = None if outcome.repeats is None else marked(segment, outcome.repeats)
    return known or earlier(segment, call.name, call.arguments_hash)


def _reused(call: StepCall, outcome: Outcome, effect: Effect) -> NewRecord:
    assert effect.result is not None  # noqa: S101 - one that has none is a doubt
    lost = {name: effect.result.meta[name] for name in ("result_lost", "repr") if name in effect.result.meta}
    said = call.meta(repeats=list(effect.mark), repeated="reuse", **lost)
    return NewRecord("step_done", outcome.key, said, effect.result.stored)


def _ask(call: StepCall, outcome: Outcome, effect: Effect) -> None:
    answers = "take its result (reuse), do it again (again)"
    can_undo = effect.given is not None
    subject = {
        **_subject(call, effect),
        "question": f"{call.name} happened {_when(effect)}: {answers}{', or undo it first (undo)' * can_undo}?",
        "undo": can_undo,
    }
    _open(call, outcome, effect, "repeat", subject)


def _ask_whether_it_happened(call: StepCall, outcome: Outcome, effect: Effect) -> None:
    question = f"{call.name} was begun {_when(effect)}, and nobody knows whether it happened: did it?"
    _open(call, outcome, effect, "in_doubt", {**_subject(call, effect), "question": question})
    raise Suspended


def _open(call: StepCall, outcome: Outcome, effect: Effect, kind: Any, subject: dict[str, Any]) -> None:
    gate = call.policy.gate
    by_whom = (
        Approval()
        if gate is None
        else Approval(approvers=gate.approvers, quorum=gate.quorum, requester_may_approve=gate.requester_may_approve)
    )
    ask_person(
        call.scope.segment,
        outcome,
        kind,
        subject,
        tool=call.name,
        arguments_hash=call.complete_hash,
        rule=f"the execution went back, and it was made {_when(effect)}",
        gate=by_whom,
        meta=call.meta(repeats=list(effect.mark)),
    )


def _subject(call: StepCall, effect: Effect) -> dict[str, Any]:
    happened = {"execution": effect.execution_id, "step": effect.step_key, "at": effect.at}
    return {"arguments": call.complete, "tool": call.name, "earlier": happened}


def _when(effect: Effect) -> str:
    at = datetime.fromtimestamp(effect.at, UTC)
    return f"at {at:%Y-%m-%d %H:%M:%S} UTC in execution {effect.execution_id}"
