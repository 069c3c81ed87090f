"""Record what an attempt of a step came to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from durable.record import failure
from durable.record.events import OutcomeUnknown, StepRetry
from durable.secrets.scrubbing import scrubbed
from durable.step import retrying
from durable.step.gates import pace
from durable.step.records import done, failed

if TYPE_CHECKING:
    from durable.step.attempt import Ended
    from durable.step.call import Pending, StepCall


def complete_step(pending: Pending, ended: Ended, seconds: float) -> bool:
    """Record what an attempt came to: True if it is finished, False if ``begin_step`` must be asked again.

    Raises the attempt's own error where that is final.
    """
    runtime = pending.call.scope.segment.runtime
    if ended.error is not None:
        ended = replace(ended, error=scrubbed(runtime.secrets.redactor, ended.error))
    with runtime.telemetry.completing(pending, ended, seconds):
        try:
            return _complete(pending, ended, seconds)
        finally:
            pace.report(pending.call, pending.outcome, ended)


def _complete(pending: Pending, ended: Ended, seconds: float) -> bool:
    call, outcome, segment = pending.call, pending.outcome, pending.call.scope.segment
    took = {"attempt": pending.attempt, "seconds": round(seconds, 6)}
    if ended.error is None:
        event, encoded = done(call, ended.value, took)
        segment.append(event.pack(outcome.key, encoded))
        return event.as_returned
    failure.mark(ended.error, outcome.key)
    if call.composite:
        segment.forget_failures(outcome.key)
        raise ended.error
    if ended.unknown and call.policy.effect == "once":
        segment.append(OutcomeUnknown(step=outcome.key, error=failure.describe(ended.error)).pack())
        call.unknown = ended.error
        return False
    now = segment.runtime.database.clock()
    follows = retrying.after(pending, ended.error, now=now)
    attempted = {**took, "error": failure.describe(follows.error), "unknown": ended.unknown}
    if follows.delay is not None:
        again = {"token_renewed": follows.token_renewed, "not_before": now + follows.delay}
        segment.append(StepRetry.of(call.about, **attempted, **again).pack(outcome.key))
        return False
    segment.append(failed(call, outcome.key, follows.error, {**attempted, "heard": follows.heard}))
    raise follows.error


def never_entered(call: StepCall) -> None:
    """The caller was cancelled before the body of this step began: that it was started leaves no doubt."""
    outcome, segment = call.outcome, call.scope.segment
    if outcome is None or call.entered or outcome.progress != "started" or outcome.epoch != segment.journal.epoch:
        return
    again = StepRetry.of(call.about, attempt=outcome.attempts - 1, not_before=0.0, never_entered=True)
    segment.append(again.pack(outcome.key))


def waits_inside(pending: Pending) -> None:
    """A call inside this step's body waits: the body left in good order, and is to be entered again, without doubt."""
    call = pending.call
    if call.policy.effect == "once" and not call.composite:
        again = StepRetry.of(call.about, attempt=pending.attempt - 1, not_before=0.0, waits_inside=True)
        call.scope.segment.append(again.pack(pending.outcome.key))
    call.scope.segment.rewind(pending.outcome.key)
