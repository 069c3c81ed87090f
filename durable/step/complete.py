"""Complete a step: record what an attempt of it came to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from durable.record import failure
from durable.record.events import OutcomeUnknown, StepRetry
from durable.secrets.scrubbing import scrubbed
from durable.step.gates import pace
from durable.step.records import done, failed
from durable.step.retrying import next_attempt

if TYPE_CHECKING:
    from durable.step.attempt import Ended
    from durable.step.call import Pending, Placed


def complete_step(pending: Pending, ended: Ended, seconds: float) -> bool:
    """Record what an attempt came to: True if it is finished, False if ``begin_step`` must be asked again.

    Raises the attempt's own error where that is final.
    """
    runtime = pending.segment.runtime
    if ended.error is not None:
        ended = replace(ended, error=scrubbed(runtime.secrets.redactor, ended.error))
    with runtime.telemetry.completing(pending, ended, seconds):
        try:
            if ended.error is None:
                return _done(pending, ended, seconds)
            return _failed(pending, ended, ended.error, seconds)
        finally:
            pace.report(pending, ended)


def _done(pending: Pending, ended: Ended, seconds: float) -> bool:
    event, encoded = done(pending.placed, ended.value, {"attempt": pending.attempt, "seconds": round(seconds, 6)})
    pending.segment.append(event.pack(pending.key, encoded))
    return event.as_returned


def _failed(pending: Pending, ended: Ended, error: BaseException, seconds: float) -> bool:
    call, placed, segment = pending.call, pending.placed, pending.segment
    failure.mark(error, pending.key)
    if call.kind.is_scope:
        segment.forget_failures(pending.key)
        raise error
    if ended.unknown and call.policy.does.settles:
        segment.append(OutcomeUnknown(step=pending.key, error=failure.describe(error)).pack())
        placed.unknown = error
        return False
    now = segment.runtime.database.clock()
    follows = next_attempt(pending, error, now=now)
    attempted = {
        "attempt": pending.attempt,
        "seconds": round(seconds, 6),
        "error": failure.describe(follows.error),
        "unknown": ended.unknown,
    }
    if follows.delay is None:
        segment.append(failed(placed, follows.error, {**attempted, "heard": follows.heard}))
        raise follows.error
    retry = StepRetry.of(placed.about, **attempted, token_renewed=follows.token_renewed, not_before=now + follows.delay)
    segment.append(retry.pack(pending.key))
    return False


def never_entered(placed: Placed) -> None:
    """Undo the started record of a step whose body never began, so that it is not in doubt."""
    outcome, segment = placed.match, placed.segment
    if outcome is None or not outcome.is_started or outcome.epoch != segment.journal.epoch:
        return
    retry = StepRetry.of(placed.about, attempt=outcome.attempts - 1, not_before=0.0, never_entered=True)
    segment.append(retry.pack(outcome.key))


def waits_inside(pending: Pending) -> None:
    """Record that a call inside this step waits: its body was left in good order, and is entered again."""
    call, segment = pending.call, pending.segment
    if call.policy.does.announced and call.kind.has_effect:
        retry = StepRetry.of(pending.placed.about, attempt=pending.attempt - 1, not_before=0.0, waits_inside=True)
        segment.append(retry.pack(pending.key))
    segment.rewind(pending.key)
