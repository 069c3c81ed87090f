"""Signals: messages to an execution by name, delivered once each, in the order in which they came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from durable.checkpoint import blobs, executions, schema
from durable.checkpoint.errors import LeaseLost

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from durable.checkpoint.database import Database

T = schema.signals
C = T.c


def send(db: Database, connection: Connection, execution_id: str, name: str, payload: bytes) -> None:
    """Keep the signal for its execution and wake it if it waits for this name."""
    executions.lock(connection, execution_id)
    now = db.sync_clock(connection)
    stored, keep = blobs.stash(db, payload)
    if keep is not None:
        keep(connection)
    connection.execute(insert(T), {"execution_id": execution_id, "name": name, "payload": stored, "created_at": now})
    executions.wake(connection, execution_id, now=now, signal=name)


def first(connection: Connection, execution_id: str, name: str) -> tuple[int, bytes] | None:
    """Id and payload of the oldest signal of this name that was not taken yet."""
    row = connection.execute(
        select(C.id, C.payload)
        .where(C.execution_id == execution_id, C.name == name, C.consumed_at.is_(None))
        .order_by(C.id)
        .limit(1)
    ).first()
    return None if row is None else (row.id, bytes(row.payload))


def consume(connection: Connection, signal_id: int, *, at: float) -> None:
    """Mark the signal taken; commits with the record that holds its payload.

    Raises LeaseLost if it was taken before.
    """
    taken = connection.execute(update(T).where(C.id == signal_id, C.consumed_at.is_(None)).values(consumed_at=at))
    if taken.rowcount != 1:
        raise LeaseLost(f"signal {signal_id}", 0)
