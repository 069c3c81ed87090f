"""Steps: a call is recorded, and never runs again once it has finished.

Everything that is decided stands here, in ``begin_step`` and ``complete_step``, plain functions over the journal;
``durable.step.shells`` drives them. A step's key is its place: scope path plus identity (the framework's call id, or
name and number), never the order of arrival.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.checkpoint.records import NewRecord
from durable.declare.retry import IN_PROCESS
from durable.errors import CodecError, Suspended
from durable.inbox.ask import Answer, answer_to
from durable.record.replay import EFFECTS
from durable.step.call import Pending, Recorded, StepCall, key_of
from durable.step.gates import allowed, doubt, drift, pace, repeated
from durable.step.gates.approval import asked_first
from durable.step.records import started_record

if TYPE_CHECKING:
    from durable.live.segment import Segment
    from durable.record.replay import Outcome


def begin_step(call: StepCall) -> Recorded | Pending:
    """What is to be done about this call: nothing (it is recorded), or run it.

    What must be durable before it runs is durable when this returns. Raises Suspended if a person or a later time
    is waited for, NotEncodable for arguments that cannot be recorded, and what ``Segment.check`` raises.
    """
    segment = call.scope.segment
    outcome = _begun(segment, call)
    if outcome.progress in {"done", "failed"}:
        segment.runtime.telemetry.replayed(call, outcome)
        return Recorded(outcome)
    segment.check()
    answer = answer_to(segment, outcome)
    if doubt.found(call, outcome, answer):
        settled = doubt.settle(call, outcome, answer)
        return Recorded(outcome) if settled == "finished" else _ready(call, outcome, started=settled == "started")
    if answer is not None and answer.interrupt.kind == "approval":
        if outcome.accepted or answer.interrupt.arguments_hash == call.complete_hash:
            return _answered(call, outcome, answer)
        segment.withdraw(outcome)  # a default has changed since: what was decided is not what would run
    fresh = outcome.progress == "new" and outcome.epoch == 0
    if fresh and _settled_before_it_runs(call, outcome, answer):
        return Recorded(outcome)
    return _ready(call, outcome)


def _settled_before_it_runs(call: StepCall, outcome: Outcome, answer: Answer | None) -> bool:
    """Return True if a call that never began has its outcome already: refused, misfitting, or made before."""
    segment = call.scope.segment
    if (refused := allowed.refusal(call, outcome, call.complete)) is not None:
        segment.append(refused.record(call, outcome.key))
        return True
    if repeated.finished(call, outcome, answer):
        return True
    if (misfit := asked_first(call, outcome)) is not None:
        segment.append(misfit)
        return True
    return False


def place(call: StepCall) -> None:
    """Give the call its place: its record by key, or the number it has among the calls of its name, if that is clear.

    Without the database, so that it is done where the call is made, in the order of the calls. Raises NotEncodable,
    Unsupported.
    """
    if call.placed:
        return
    call.scope.outside_of_transactions(call.name)
    call.arguments_hash = "" if call.composite else _hash(call.scope.segment, call)
    path = call.scope.path
    key = None if call.identity is None else f"{path}/{call.identity}".lstrip("/")
    outcome, fits = call.scope.segment.take(key, call.prefix, call.arguments_hash)
    call.fits = outcome.accepted if outcome is not None and outcome.name not in {"", call.name} else fits
    if outcome is None and call.gentle:
        outcome = call.scope.segment.take_gently(call.prefix)
        call.fits = False
    call.outcome, call.placed = outcome, True
    call.branch = call.scope.branched
    call.beside = key is None and call.scope.segment.beside(path, branched=call.branch)


def _begun(segment: Segment, call: StepCall) -> Outcome:
    place(call)
    if call.outcome is None:
        call.outcome, call.fits = segment.take_late(call.prefix, call.arguments_hash, call.scope.inside)
    outcome = call.outcome
    if call.begun:
        return outcome
    if not call.fits and call.gentle:
        outcome.taken = True
        meta = {"event": "input_differs", "recorded": outcome.arguments_hash, "now": call.arguments_hash}
        segment.append(NewRecord("note", None, {**meta, "step": outcome.key}))
    elif not call.fits:
        drift.settle(segment, outcome, name=call.name, arguments=call.arguments, arguments_hash=call.arguments_hash)
    else:
        drift.over(segment, outcome)
    if _takes_a_place(call, outcome):
        while (passed := segment.passed_over(call.scope.path)) is not None:
            drift.settle(segment, passed, name=call.name, arguments=call.arguments, arguments_hash=call.arguments_hash)
    if call.composite:
        segment.rewind(outcome.key)
    call.begun = True
    return outcome


def _takes_a_place(call: StepCall, outcome: Outcome) -> bool:
    """Whether this is a new effect on the line of its scope, where a recorded one would have to come by before."""
    new = outcome.progress == "new" and outcome.interrupt is None
    return new and outcome.number > 0 and not call.branch and call.policy.effect in EFFECTS


def _hash(segment: Segment, call: StepCall) -> str:
    try:
        return segment.runtime.codec.fingerprint(call.arguments)
    except CodecError:
        if call.gentle:
            return ""
        raise


def _answered(call: StepCall, outcome: Outcome, answer: Answer) -> Recorded | Pending:
    segment, decision, refused = call.scope.segment, answer.decision, None
    if decision.kind in {"approve", "edit"}:
        arguments = decision.value if decision.kind == "edit" else call.complete
        segment.runtime.codec.encode(arguments, what=f"the edited arguments of {call.name}")
        refused = allowed.refusal(call, outcome, arguments)
        if refused is None:
            pace.admit(call, outcome)  # where it has to wait, the decision stays for then
    closed, consume = answer.closing(segment)
    match decision.kind:
        case "approve" | "edit" if refused is not None:
            segment.append(closed, refused.record(call, outcome.key), companions=[consume])
        case "approve" | "edit":
            segment.append(closed, started_record(call, outcome, arguments), companions=[consume])
            return _ready(call, outcome, started=True)
        case "reject":
            rejected = call.meta(rejected=decision.reason or "", by=answer.interrupt.decided_by)
            segment.append(closed, NewRecord("step_failed", outcome.key, rejected), companions=[consume])
        case _:
            value = segment.runtime.codec.encode(decision.value, what=f"the answer for {call.name}")
            done = NewRecord("step_done", outcome.key, call.meta(by=answer.interrupt.decided_by), value)
            segment.append(closed, done, companions=[consume])
    return Recorded(outcome)


def _needs_start(call: StepCall, outcome: Outcome) -> bool:
    """Whether the step must be on record before it runs.

    An idempotent one in a branch: its number, and so its idempotency key, could be given to another branch's call
    by a replay that knows nothing of it.
    """
    if call.policy.effect == "idempotent" and call.policy.compensate is None:
        return call.beside and outcome.epoch == 0
    return (call.policy.effect == "once" or call.policy.compensate is not None) and not call.composite


def _ready(call: StepCall, outcome: Outcome, *, started: bool = False) -> Pending:
    segment, policy = call.scope.segment, call.policy
    now = segment.runtime.database.clock()
    delay = max(0.0, outcome.not_before - now) if outcome.progress == "retry" else 0.0
    if delay > IN_PROCESS:
        segment.wait_for(at=outcome.not_before)
        raise Suspended
    attempt = outcome.attempts if started else outcome.attempts + 1
    if not started and not delay:
        pace.admit(call, outcome)
    arguments = call.complete if outcome.edited is None else outcome.edited.value()
    if _needs_start(call, outcome) and not started and not delay:
        segment.append(started_record(call, outcome, arguments))
    context = segment.context(
        outcome.key,
        call.name,
        attempt=attempt,
        idempotency_key=key_of(call, outcome, arguments),
        deadline_at=None if policy.timeout is None else now + delay + policy.timeout,
        secrets=policy.secrets,
    )
    return Pending(call, outcome, arguments, context, delay, edited=outcome.edited is not None)
