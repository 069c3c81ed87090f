"""In doubt: a call that was started, and nobody knows whether it happened.

Never guessed: an effect that may be repeated is repeated with the same idempotency key, for ``once`` the tool's own
``reconcile`` is asked, and where that cannot tell, a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from durable.declare.policy import Done, NotDone
from durable.errors import Cancelled, Suspended
from durable.inbox.ask import ask_person
from durable.record import failure
from durable.record.events import Reconciled, StepDone, StepRetry, StepStarted
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
        segment.append(StepDone.of(call.about, reconciled=True).pack(outcome.key, value))
        return "finished"
    if isinstance(verdict, NotDone):
        segment.append(Reconciled(step=outcome.key, happened=False).pack())
        return "run" if call.unknown is None else _failed(call, outcome, call.unknown)
    ask_person(
        segment,
        outcome,
        "in_doubt",
        {"arguments": arguments, "tool": call.name, "question": f"did {call.name} happen?"},
        tool=call.name,
        arguments_hash=call.complete_hash,
        rule=verdict,
        about=call.about,
        because=verdict,
    )
    raise Suspended


def _failed(call: StepCall, outcome: Outcome, error: BaseException) -> Settled:
    """An attempt in this process did not happen after all: it has failed, and the tool's retries say what follows."""
    segment = call.scope.segment
    now = segment.runtime.database.clock()
    delay = None if call.heard else call.policy.retries.delay(outcome.attempts, error, key=outcome.key, now=now)
    attempted = {"attempt": outcome.attempts, "error": failure.describe(error), "happened": False}
    if delay is None:
        segment.append(failed(call, outcome.key, error, attempted))
        return "finished"
    segment.append(StepRetry.of(call.about, **attempted, not_before=now + delay).pack(outcome.key))
    return "run"


def _decided(call: StepCall, outcome: Outcome, answer: Answer) -> Settled:
    segment, decision = call.scope.segment, answer.decision
    closed, consume = answer.closing(segment)
    if decision.kind == "happened":
        value = segment.runtime.codec.encode(decision.value, what=f"the result of {call.name}")
        done = StepDone.of(call.about, by=answer.interrupt.decided_by).pack(outcome.key, value)
        segment.append(closed, done, companions=[consume])
        return "finished"
    if decision.kind == "did_not_happen":
        started = StepStarted.of(call.about, attempt=outcome.attempts + 1).pack(outcome.key)
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
