"""In doubt: a call that was started, and nobody knows whether it happened.

Never guessed: an effect that may be repeated is repeated with the same idempotency key, for ``once`` the tool's own
``reconcile`` is asked, and where that cannot tell, a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.declare.policy import Done, NotDone
from durable.errors import Cancelled
from durable.inbox.ask import Unanswered, asked, question, standing
from durable.inbox.batch import Batch
from durable.inbox.kinds import APPROVAL, IN_DOUBT
from durable.record import failure
from durable.record.events import Reconciled, StepDone, StepRetry
from durable.step.reconcile import reconciled
from durable.step.records import failed
from durable.step.verdicts import PASS, Finished, Pass, Start, Stop, Wait

if TYPE_CHECKING:
    from durable.inbox.ask import Answer
    from durable.step.call import Placed
    from durable.step.verdicts import Verdict


def gate(placed: Placed) -> Verdict:
    """Return Pass if this call certainly did not happen, or may be repeated."""
    return inquire(placed) if applies(placed) else PASS


def applies(placed: Placed) -> bool:
    """True if this call may have happened already without anybody knowing."""
    segment, outcome = placed.segment, placed.outcome
    if asked(segment, outcome, APPROVAL) is not None:  # it was never made
        return False
    return asked(segment, outcome, IN_DOUBT) is not None or outcome.is_started or _outlived(placed)


def inquire(placed: Placed) -> Verdict:
    """Find out whether the call happened: by a person's answer, by ``reconcile``, or by asking a person. Blocks."""
    segment, outcome = placed.segment, placed.outcome
    answer = None if asked(segment, outcome, IN_DOUBT) is None else standing(segment, outcome)
    if isinstance(answer, Unanswered):
        return Wait(answer.batch, interrupt=answer.interrupt)
    if answer is not None:
        return _decided(placed, answer)
    if not placed.call.policy.does.settles and not _outlived(placed):
        return PASS
    arguments = placed.arguments
    found = reconciled(placed, arguments)
    if isinstance(found, Done):
        value = segment.runtime.codec.encode(found.result, what=f"the reconciled result of {placed.call.name}")
        return Finished(Batch((StepDone.of(placed.about, reconciled=True).pack(placed.key, value),)))
    if isinstance(found, NotDone):
        return _not_done(placed)
    return Wait(_did_it_happen(placed, arguments, because=found))


def _did_it_happen(placed: Placed, arguments: object, *, because: str) -> Batch:
    name = placed.call.name
    return question(
        placed.segment,
        placed.outcome,
        IN_DOUBT,
        {"arguments": arguments, "tool": name, "question": f"did {name} happen?"},
        tool=name,
        arguments_hash=placed.complete_hash,
        rule=because,
        about=placed.about,
        because=because,
    )


def _not_done(placed: Placed) -> Verdict:
    """An attempt of this process that did not happen after all has failed: its retries say what follows."""
    outcome, error = placed.outcome, placed.unknown
    note = Batch((Reconciled(step=outcome.key, happened=False).pack(),))
    if error is None:
        return Pass(note)
    now = placed.segment.runtime.database.clock()
    delay = placed.call.policy.retries.delay(outcome.attempts, error, key=outcome.key, now=now)
    attempted = {"attempt": outcome.attempts, "error": failure.describe(error), "happened": False}
    if delay is None:
        return Finished(note + Batch((failed(placed, error, attempted),)))
    retry = StepRetry.of(placed.about, **attempted, not_before=now + delay)
    return Wait(note + Batch((retry.pack(outcome.key),)), at=now + delay, in_process=True)


def _decided(placed: Placed, answer: Answer) -> Verdict:
    segment, decision = placed.segment, answer.decision
    used_up = answer.used_up(segment)
    if decision.kind == "happened":
        value = segment.runtime.codec.encode(decision.value, what=f"the result of {placed.call.name}")
        done = StepDone.of(placed.about, by=answer.interrupt.decided_by)
        return Finished(used_up + Batch((done.pack(placed.key, value),)))
    if decision.kind == "did_not_happen":
        return Pass(start=Start(used_up, placed.arguments))
    return Stop(Cancelled(decision.reason or "cancelled by decision"), used_up)


def _outlived(placed: Placed) -> bool:
    """True if an idempotent call may have been sent so long ago that the other side has forgotten its key."""
    segment = placed.segment
    crashed_at = segment.replay.crashed_at
    keyed = placed.call.policy.does.relies_on_key
    if not keyed or crashed_at is None or placed.outcome.epoch == segment.journal.epoch:
        return False
    return segment.runtime.database.clock() - crashed_at > placed.call.policy.key_ttl
