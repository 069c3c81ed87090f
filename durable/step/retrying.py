"""Again: whether a failed attempt is followed by another one, when, and with a new token if the old one has expired."""

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
class Again:
    """``error`` is what the attempt came to, ``delay`` the seconds until the next one (None: there is none)."""

    error: BaseException
    delay: float | None
    token_renewed: bool = False
    heard: bool = False


def after(pending: Pending, error: BaseException, *, now: float) -> Again:
    """What follows on this error."""
    if pending.call.heard:
        return Again(error, None, heard=True)
    retries, attempt, key = pending.call.policy.retries, pending.attempt, pending.outcome.key
    if retries.on_expired_token is not None:
        before = _renewals(pending)
        if expired_token(error) and not before:
            return _renewed(pending, error, retries.on_expired_token)
        attempt -= before
    return Again(error, retries.delay(attempt, error, key=key, now=now))


def _renewals(pending: Pending) -> int:
    """Return how often the token was renewed for this call."""
    records = pending.call.scope.segment.records
    retries = (unpack_if(record, StepRetry) for record in records if record.step_key == pending.outcome.key)
    return sum(retry is not None and retry.token_renewed for retry in retries)


def _renewed(pending: Pending, error: BaseException, renew: Callable[..., Any]) -> Again:
    try:
        made = renew(pending.context)
        if inspect.iscoroutine(made):
            on_own_loop(made)
    except Exception as exc:  # noqa: BLE001 - recorded as what the step came to
        exc.__cause__ = error
        return Again(scrubbed(pending.call.scope.segment.runtime.secrets.redactor, exc), None)
    return Again(error, 0.0, token_renewed=True)
