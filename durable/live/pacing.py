"""Pacing: the rates and circuits that all workers of a database share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.checkpoint.executions import TICK
from durable.checkpoint.pace import circuits, rates
from durable.declare.ids import LONGEST

if TYPE_CHECKING:
    from durable.checkpoint.database import Database
    from durable.checkpoint.pace.circuits import Circuit
    from durable.declare.breaker import Breaker
    from durable.declare.rate import Rate


class Pacing:
    """Turns and circuits of one namespace. Each method blocks for one transaction. Raises StorageError."""

    def __init__(self, database: Database, namespace: str) -> None:
        self._database = database
        self._namespace = namespace

    def look(self, breaker: Breaker, tool: str) -> Circuit:
        """Return the circuit as it stands now."""
        with self._database.read() as connection:
            return circuits.look(connection, self._namespace, breaker.name or tool)

    def opens_at(self, circuit: Circuit) -> float | None:
        """Return the instant before which an open circuit certainly lets nothing through; None if it may now."""
        is_due = circuit.retry_at is None or circuit.retry_at <= self._database.clock() + TICK
        return None if is_due else circuit.retry_at

    def probe(self, breaker: Breaker, tool: str) -> Circuit:
        """Try to become the single trial call of an open circuit. ``retry_at`` is set if another worker won."""
        db, name = self._database, breaker.name or tool
        return db.transact(
            lambda connection: circuits.probe(db, connection, self._namespace, name, reset=breaker.reset)
        )

    def turn(self, rate: Rate, tool: str) -> float | None:
        """Take the next turn of a rate and return None; else return the instant at which to ask again."""
        db, name = self._database, rate.name or tool[:LONGEST]
        return db.transact(
            lambda connection: rates.take(db, connection, self._namespace, name, calls=rate.calls, per=rate.per)
        )

    def failed(self, breaker: Breaker, tool: str) -> bool:
        """Count a failed attempt; True if the circuit is open by now."""
        db, name = self._database, breaker.name or tool
        return db.transact(
            lambda connection: circuits.failed(
                db, connection, self._namespace, name, failures=breaker.failures, reset=breaker.reset
            )
        )

    def succeeded(self, breaker: Breaker, tool: str) -> None:
        """Close the circuit: an attempt went well."""
        name = breaker.name or tool
        self._database.transact(lambda connection: circuits.succeeded(connection, self._namespace, name))
