"""Again: whether a failed attempt is followed by another one, when, and with a new token if the old one has expired."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.declare.retry import expired_token
from durable.secrets.scrubbing import scrubbed
from durable.step.attempt import on_own_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.step.call import Pending

_RENEWED = "token_renewed"


@dataclass(frozen=True, slots=True)
class Again:
    """``error`` is what the attempt came to, ``delay`` the seconds until the next one (None: there is none)."""

    error: BaseException
    delay: float | None
    meta: Mapping[str, Any] = field(default_factory=dict)


def after(pending: Pending, error: BaseException, *, now: float) -> Again:
    """What follows on this error."""
    if pending.call.heard:
        return Again(error, None, {"heard": True})
    retries, attempt, key = pending.call.policy.retries, pending.attempt, pending.outcome.key
    if retries.on_expired_token is not None:
        before = sum(
            1 for record in pending.call.scope.segment.records if record.step_key == key and _RENEWED in record.meta
        )
        if expired_token(error) and not before:
            return _renewed(pending, error, retries.on_expired_token)
        attempt -= before
    return Again(error, retries.delay(attempt, error, key=key, now=now))


def _renewed(pending: Pending, error: BaseException, renew: Callable[..., Any]) -> Again:
    try:
        made = renew(pending.context)
        if inspect.iscoroutine(made):
            on_own_loop(made)
    except Exception as exc:  # noqa: BLE001 - recorded as what the step came to
        exc.__cause__ = error
        return Again(scrubbed(pending.call.scope.segment.runtime.secrets.redactor, exc), None)
    return Again(error, 0.0, {_RENEWED: True})
