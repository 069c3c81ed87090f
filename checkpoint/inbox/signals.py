"""Signals: messages to an execution by name, delivered once each, in the order in which they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from durable.checkpoint import executions, schema
from durable.checkpoint.errors import LeaseLost, SignalConflict
from durable.checkpoint.state import blobs

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from durable.checkpoint.database import Database

T = schema.signals
C = T.c


@dataclass(frozen=True, slots=True)
class NewSignal:
    """Signal to be kept. ``sent_as`` is the sender's own id of it, the same whenever it sends this one again."""

    name: str
    payload: bytes
    sent_as: str | None = None


def send(db: Database, connection: Connection, execution_id: str, signal: NewSignal) -> None:
    """Keep the signal for its execution and wake it if it waits for this name; nothing if it is there already.

    Raises SignalConflict if another signal was sent under its id.
    """
    executions.lock(connection, execution_id)
    stored, keep = blobs.stash(db, signal.payload)
    if signal.sent_as is not None and _sent(connection, execution_id, signal, stored):
        return
    now = db.sync_clock(connection)
    if keep is not None:
        keep(connection)
    row = {"execution_id": execution_id, "name": signal.name, "sent_as": signal.sent_as, "payload": stored}
    connection.execute(insert(T), {**row, "created_at": now})
    executions.wake(connection, execution_id, now=now, signal=signal.name)


def _sent(connection: Connection, execution_id: str, signal: NewSignal, stored: bytes) -> bool:
    """True if it was sent before."""
    sent = select(C.name, C.payload).where(C.execution_id == execution_id, C.sent_as == signal.sent_as)
    row = connection.execute(sent).first()
    if row is not None and (row.name, bytes(row.payload)) != (signal.name, stored):
        raise SignalConflict(execution_id, str(signal.sent_as))
    return row is not None


_FIRST = (
    select(C.id, C.payload)
    .where(C.execution_id == bindparam("of"), C.name == bindparam("named"), C.consumed_at.is_(None))
    .order_by(C.id)
    .limit(1)
)


def first(connection: Connection, execution_id: str, name: str) -> tuple[int, bytes] | None:
    """Return id and payload of the oldest signal of this name that was not consumed yet."""
    row = connection.execute(_FIRST, {"of": execution_id, "named": name}).first()
    return None if row is None else (row.id, bytes(row.payload))


def consume(connection: Connection, signal_id: int, *, at: float) -> None:
    """Mark the signal consumed; commits with the record that holds its payload.

    Raises LeaseLost if it was consumed before.
    """
    marked = connection.execute(update(T).where(C.id == signal_id, C.consumed_at.is_(None)).values(consumed_at=at))
    if marked.rowcount != 1:
        raise LeaseLost(f"signal {signal_id}", 0)
