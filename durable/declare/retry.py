"""Retries: how often a failed step is tried again, and after how many seconds.

Waits up to IN_PROCESS seconds are slept by the worker; a longer one releases it, and the execution is claimed again
when its time has come. Attempts are counted in the journal, so a crash does not start the count again.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from durable.errors import InvalidConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable


IN_PROCESS = 5.0
"""Seconds that a retry may hold its worker."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try up to ``attempts`` times in all, waiting ``initial * factor**n`` seconds, at most ``maximum``.

    ``jitter`` spreads a wait by that fraction of it, the same for the same attempt of the same step. ``on`` are the
    errors worth another attempt, ``never`` those of them that are not. An error that carries ``Retry-After`` (RFC
    9110) is obeyed.

    ``on_expired_token(context)``, sync or async, is called with the ToolContext when an attempt fails with the status
    401: get a new token there, for one attempt more. That one is not counted; a second 401 is a failure like any
    other. What it raises fails the step.
    """

    attempts: int = 3
    initial: float = 0.5
    factor: float = 2.0
    maximum: float = 60.0
    jitter: float = 0.2
    on: tuple[type[Exception], ...] = (Exception,)
    never: tuple[type[Exception], ...] = ()
    on_expired_token: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        # all of it positively, so that NaN does not pass
        if not (self.attempts >= 1 and self.initial >= 0 and self.maximum >= 0 and self.factor >= 1):
            msg = "Retry needs attempts >= 1, initial >= 0, maximum >= 0 and factor >= 1"
            raise InvalidConfiguration(msg)

    def delay(self, attempt: int, error: BaseException, *, key: str, now: float) -> float | None:
        """Return the seconds to wait before the next attempt after ``attempt`` failed; None if that was the last."""
        if attempt >= self.attempts or not isinstance(error, self.on) or isinstance(error, self.never):
            return None
        demanded = retry_after(error, now=now)
        if demanded is not None:
            return demanded
        try:
            wait = min(self.maximum, self.initial * self.factor ** (attempt - 1))
        except OverflowError:
            wait = self.maximum
        draw = int.from_bytes(hashlib.sha256(f"{key}:{attempt}".encode()).digest()[:4], "big") / 2**32
        return wait * (1 - self.jitter / 2 + self.jitter * draw)


NO_RETRY = Retry(attempts=1)


_UNAUTHORIZED = 401


def expired_token(error: BaseException) -> bool:
    """True if the other side did nothing, because it does not know who asks."""
    return status_of(error) == _UNAUTHORIZED


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status an error carries, as httpx, requests, aiohttp, urllib and the SDKs of models name it."""
    for carrier in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            value = getattr(carrier, name, None)
            if isinstance(value, int) and not isinstance(value, bool):
                return int(value)
    return None


_FOR_NOW = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONNECTIONS = frozenset({"APIConnectionError", "TransportError", "ClientConnectionError", "ConnectionError"})
"""Of the SDKs of models, httpx, aiohttp and requests: none of them derives from the built-in one."""


def is_transient(error: BaseException) -> bool:
    """Return True if the same may succeed a moment later: a connection, a timeout, a server that is busy."""
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    named = {kind.__name__ for kind in type(error).__mro__}
    return status_of(error) in _FOR_NOW or not named.isdisjoint(_CONNECTIONS)


def retry_after(error: BaseException, *, now: float) -> float | None:
    """Return the seconds the other side asked for: ``error.retry_after``, or a header of the error or its response."""
    value = getattr(error, "retry_after", None)
    if value is None:
        headers = getattr(getattr(error, "response", None), "headers", None) or getattr(error, "headers", None) or {}
        exact = _seconds(headers.get("retry-after-ms"))
        if exact is not None:
            return exact / 1000
        value = headers.get("retry-after") or headers.get("Retry-After")
    if value is None:
        return None
    try:
        float(value)
    except (TypeError, ValueError):
        pass
    else:
        return _seconds(value)
    try:
        return max(0.0, parsedate_to_datetime(str(value)).timestamp() - now)
    except (TypeError, ValueError):
        return None


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
