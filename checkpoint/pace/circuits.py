"""Keep circuits: whether a thing outside is worth calling, as all workers of a database have found it together.

    closed -> open        ``failures`` calls in a row have failed
    open   -> half open   ``reset`` seconds later one call is let through, and no other for as long again
    half open -> closed   it succeeded           half open -> open   it failed

``failures`` counts since the last success; ``retry_at`` is None while the circuit is closed. A worker that dies with
the one call leaves the circuit open for ``reset`` seconds more, no longer. Instants are epoch seconds on the database's
clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import case, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from durable.checkpoint import schema
from durable.checkpoint.executions import TICK

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from durable.checkpoint.database import Database

T = schema.circuits
C = T.c


@dataclass(frozen=True, slots=True)
class Circuit:
    """State of a circuit: ``failures`` in a row, and the instant to ask again if it may not be called now."""

    failures: int = 0
    retry_at: float | None = None


CLOSED = Circuit()


def look(connection: Connection, namespace: str, name: str) -> Circuit:
    """Return the circuit as it stands. ``retry_at`` may be over."""
    row = connection.execute(select(C.failures, C.retry_at).where(C.namespace == namespace, C.name == name)).first()
    return CLOSED if row is None else Circuit(row.failures, row.retry_at)


def probe(db: Database, connection: Connection, namespace: str, name: str, *, reset: float) -> Circuit:
    """Try to become the single call that is let through an open circuit whose time has come.

    Returns a circuit with ``retry_at`` set if it is too early or another worker won. One conditional statement decides.
    """
    now = db.now()
    mine = update(T).where(C.namespace == namespace, C.name == name, C.retry_at <= now + TICK)
    won = connection.execute(mine.values(retry_at=now + reset).returning(C.failures)).scalar()
    return look(connection, namespace, name) if won is None else Circuit(won)


def failed(  # noqa: PLR0913 - the numbers of a breaker
    db: Database, connection: Connection, namespace: str, name: str, *, failures: int, reset: float
) -> bool:
    """Count a failure; True if the circuit is open by now."""
    now = db.now()
    insert = (sqlite if db.is_sqlite else postgresql).insert(T)
    opens = or_(C.retry_at.isnot(None), C.failures + 1 >= failures)
    counted = insert.values(
        namespace=namespace, name=name, failures=1, retry_at=now + reset if failures == 1 else null()
    ).on_conflict_do_update(
        index_elements=[C.namespace, C.name],
        set_={"failures": C.failures + 1, "retry_at": case((opens, now + reset), else_=C.retry_at)},
    )
    return connection.execute(counted.returning(C.retry_at)).scalar() is not None


def succeeded(connection: Connection, namespace: str, name: str) -> None:
    """Close the circuit."""
    connection.execute(update(T).where(C.namespace == namespace, C.name == name).values(failures=0, retry_at=None))
