"""Breakers: something outside that keeps failing is left alone for a while, by all workers of a database together.

While its circuit is open a call does not start, is no attempt, and holds no worker: its execution is let go and comes
back when the circuit may be tried again. One call is then let through, and what becomes of it decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from durable.checkpoint import circuits
from durable.checkpoint.errors import InvalidConfiguration, ToolRejected
from durable.checkpoint.executions import TICK
from durable.ids import checked
from durable.retry import status_of

if TYPE_CHECKING:
    from durable.checkpoint.circuits import Circuit
    from durable.runtime import Runtime

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

    def look(self, runtime: Runtime, tool: str) -> Circuit:
        """The circuit as it stands now."""
        with runtime.database.read() as connection:
            return circuits.look(connection, runtime.namespace, self.name or tool)

    @staticmethod
    def until(runtime: Runtime, found: Circuit) -> float | None:
        """The instant before which it is certainly not to be called."""
        due = found.retry_at is None or found.retry_at <= runtime.database.clock() + TICK
        return None if due else found.retry_at

    def probe(self, runtime: Runtime, tool: str) -> Circuit:
        """Be the one that is let through an open circuit; with ``retry_at`` somebody else is."""
        name, db = self.name or tool, runtime.database
        return db.transact(lambda connection: circuits.probe(db, connection, runtime.namespace, name, reset=self.reset))

    def counts(self, error: BaseException) -> bool:
        """Whether this error says something about who was called."""
        if not isinstance(error, self.on) or isinstance(error, (*self.never, ToolRejected)):
            return False
        status = status_of(error)
        return status is None or status not in _CALLERS_FAULT or status in _BUSY

    def tell(self, runtime: Runtime, tool: str, found: Circuit, error: BaseException | None) -> bool:
        """Count what became of an attempt that found the circuit so; True if the circuit is open by now."""
        name, db = self.name or tool, runtime.database
        if error is not None and self.counts(error):
            return db.transact(
                lambda connection: circuits.failed(
                    db, connection, runtime.namespace, name, failures=self.failures, reset=self.reset
                )
            )
        if found.failures:
            db.transact(lambda connection: circuits.succeeded(connection, runtime.namespace, name))
        return False
