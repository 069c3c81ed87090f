"""In doubt: a call that was started, and nobody knows whether it happened.

Never guessed: an effect that may be repeated is repeated with the same idempotency key, for ``once`` the tool's own
``reconcile`` is asked, and where that cannot tell, a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from durable.checkpoint.records import NewRecord
from durable.declare.policy import Done, NotDone
from durable.errors import Cancelled, Suspended
from durable.inbox.ask import ask_person
from durable.record import failure
from durable.step.reconcile import reconciled
from durable.step.records import failed

if TYPE_CHECKING:
    from durable.inbox.ask import Answer
    from durable.record.replay import Outcome
    from durable.step.call import StepCall

Settled = Literal["finished", "run", "started"]
"""The step has an outcome now; it is to be run; it is to be run and that is on record already."""


def found(call: StepCall, outcome: Outcome, answer: Answer | None) -> bool:
    """Whether this call may have happened already without anybody knowing."""
    if answer is not None and answer.interrupt.kind == "in_doubt":
        return True
    return outcome.progress == "started" or _outlived(call, outcome)


def settle(call: StepCall, outcome: Outcome, answer: Answer | None) -> Settled:
    """Find out whether the call happened. Raises Suspended while a person is asked, Cancelled if that is the answer."""
    if answer is not None and answer.interrupt.kind == "in_doubt":
        return _decided(call, outcome, answer)
    if call.policy.effect != "once" and not _outlived(call, outcome):
        return "run"
    segment = call.scope.segment
    arguments = call.complete if outcome.edited is None else outcome.edited.value()
    verdict = reconciled(call, outcome, arguments)
    if isinstance(verdict, Done):
        value = segment.runtime.codec.encode(verdict.result, what=f"the reconciled result of {call.name}")
        segment.append(NewRecord("step_done", outcome.key, call.meta(reconciled=True), value))
        return "finished"
    if isinstance(verdict, NotDone):
        segment.append(NewRecord("note", None, {"event": "reconciled", "step": outcome.key, "happened": False}))
        return "run" if call.unknown is None else _failed(call, outcome, call.unknown)
    ask_person(
        segment,
        outcome,
        "in_doubt",
        {"arguments": arguments, "tool": call.name, "question": f"did {call.name} happen?"},
        tool=call.name,
        arguments_hash=call.complete_hash,
        rule=verdict,
        meta=call.meta(because=verdict),
    )
    raise Suspended


def _failed(call: StepCall, outcome: Outcome, error: BaseException) -> Settled:
    """An attempt in this process did not happen after all: it has failed, and the tool's retries say what follows."""
    segment = call.scope.segment
    now = segment.runtime.database.clock()
    delay = None if call.heard else call.policy.retries.delay(outcome.attempts, error, key=outcome.key, now=now)
    meta = call.meta(attempt=outcome.attempts, error=failure.describe(error), happened=False)
    if delay is None:
        segment.append(failed(call, outcome.key, error, meta))
        return "finished"
    segment.append(NewRecord("step_retry", outcome.key, {**meta, "not_before": now + delay}))
    return "run"


def _decided(call: StepCall, outcome: Outcome, answer: Answer) -> Settled:
    segment, decision = call.scope.segment, answer.decision
    closed, consume = answer.closing(segment)
    if decision.kind == "happened":
        value = segment.runtime.codec.encode(decision.value, what=f"the result of {call.name}")
        done = NewRecord("step_done", outcome.key, call.meta(by=answer.interrupt.decided_by), value)
        segment.append(closed, done, companions=[consume])
        return "finished"
    if decision.kind == "did_not_happen":
        started = NewRecord("step_started", outcome.key, call.meta(attempt=outcome.attempts + 1))
        segment.append(closed, started, companions=[consume])
        return "started"
    segment.append(closed, companions=[consume])
    raise Cancelled(decision.reason or "cancelled by decision")


def _outlived(call: StepCall, outcome: Outcome) -> bool:
    """An idempotent call that may have been sent so long ago that the other side has forgotten its key."""
    segment = call.scope.segment
    crashed_at = segment.replay.crashed_at
    if call.policy.effect != "idempotent" or crashed_at is None or outcome.epoch == segment.journal.epoch:
        return False
    return segment.runtime.database.clock() - crashed_at > call.policy.key_ttl
