"""Retrying: what follows a failed attempt, and when; with a new token if the old one has expired."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.declare.retry import expired_token
from durable.record.events import StepRetry, unpack_if
from durable.secrets.scrubbing import scrubbed
from durable.step.attempt import on_own_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.step.call import Pending


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """``error`` is what the attempt came to, ``delay`` the seconds until the next one (None: there is none)."""

    error: BaseException
    delay: float | None
    token_renewed: bool = False
    heard: bool = False


def next_attempt(pending: Pending, error: BaseException, *, now: float) -> NextAttempt:
    """Return what follows on this error. May call ``on_expired_token``, and blocks then."""
    if pending.placed.heard:
        return NextAttempt(error, None, heard=True)
    retries, attempt, key = pending.call.policy.retries, pending.attempt, pending.key
    if retries.on_expired_token is not None:
        renewals = _renewals(pending)
        if expired_token(error) and not renewals:
            return _renewed(pending, error, retries.on_expired_token)
        attempt -= renewals
    return NextAttempt(error, retries.delay(attempt, error, key=key, now=now))


def _renewals(pending: Pending) -> int:
    """Return how often the token was renewed for this call."""
    records = (record for record in pending.segment.records if record.step_key == pending.key)
    retries = (unpack_if(record, StepRetry) for record in records)
    return sum(retry is not None and retry.token_renewed for retry in retries)


def _renewed(pending: Pending, error: BaseException, renew: Callable[..., Any]) -> NextAttempt:
    try:
        renewal = renew(pending.context)
        if inspect.iscoroutine(renewal):
            on_own_loop(renewal)
    except Exception as exc:  # noqa: BLE001 - recorded as what the step came to
        exc.__cause__ = error
        return NextAttempt(scrubbed(pending.segment.runtime.secrets.redactor, exc), None)
    return NextAttempt(error, 0.0, token_renewed=True)
