"""Breakers: leave something outside that keeps failing alone for a while, by all workers of a database together.

While its circuit is open a call does not start, is no attempt, and holds no worker: its execution is let go and comes
back when the circuit may be tried again. Then one call is let through, and its outcome decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from durable.declare.ids import checked
from durable.declare.retry import status_of
from durable.errors import InvalidConfiguration, ToolRejected

_CALLERS_FAULT = range(400, 500)
_BUSY = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Breaker:
    """Open after ``failures`` failed attempts in a row; after ``reset`` seconds one attempt is let through.

    ``on`` are the errors that count, ``never`` those of them that do not. A status of 400 to 499 never counts (but 408,
    425 and 429 do): it says something about the call, not about who was called. A timeout counts. Tools whose breakers
    have the same ``name`` (a host, say) share one, and are to give it the same numbers; without a name each tool has
    its own. Raises InvalidConfiguration.
    """

    failures: int = 5
    reset: float = 30.0
    name: str | None = None
    on: tuple[type[Exception], ...] = (Exception,)
    never: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        if not (self.failures >= 1 and 0 < self.reset < math.inf):
            msg = f"Breaker(failures={self.failures!r}, reset={self.reset!r}): use at least one, and seconds above zero"
            raise InvalidConfiguration(msg)
        if self.name is not None:
            checked(self.name, "the name of a breaker")

    def counts(self, error: BaseException) -> bool:
        """True if this error says something about who was called."""
        if not isinstance(error, self.on) or isinstance(error, (*self.never, ToolRejected)):
            return False
        status = status_of(error)
        return status is None or status not in _CALLERS_FAULT or status in _BUSY
