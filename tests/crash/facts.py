"""Facts: what stands in a database at one instant, as plain JSON, read without the code that wrote it where possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, select, text

from durable.checkpoint import schema
from durable.checkpoint.records import unpack
from durable.errors import JournalCorrupt

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from durable import Runtime

Facts = dict[str, Any]

BOOKINGS = "bookings"
"""The business table of transactional effects: one row (effect) each."""


def gather(runtime: Runtime) -> Facts:
    """All rows that the invariants look at, and what the digest chains say."""
    with runtime.database.read() as connection:
        executions = [dict(row) for row in connection.execute(select(schema.executions)).mappings()]
        facts: Facts = {
            "executions": {row["id"]: _plain(row) for row in executions},
            "journals": {row["id"]: _journal(connection, row["id"]) for row in executions},
            "interrupts": [_plain(row) for row in connection.execute(select(schema.interrupts)).mappings()],
            "signals": [_plain(row) for row in connection.execute(select(schema.signals)).mappings()],
            "bookings": _bookings(connection),
        }
    facts["broken"] = _broken(runtime, facts)
    return facts


def _plain(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not isinstance(value, (bytes, memoryview))}


def _journal(connection: Connection, execution_id: str) -> list[dict[str, Any]]:
    table = schema.journal
    rows = connection.execute(select(table).where(table.c.execution_id == execution_id).order_by(table.c.seq))
    return [
        {
            "seq": row.seq,
            "epoch": row.epoch,
            "kind": row.kind,
            "step_key": row.step_key,
            "meta": unpack(row.payload)[0],
            "digest": bytes(row.digest).hex(),
        }
        for row in rows
    ]


def _bookings(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(BOOKINGS):
        return []
    return list(connection.execute(text(f"SELECT effect FROM {BOOKINGS}")).scalars())


def _broken(runtime: Runtime, facts: Facts) -> list[str]:
    broken = []
    for execution_id in facts["executions"]:
        try:
            runtime.get(execution_id).verify()
        except JournalCorrupt as exc:
            broken.append(str(exc))
    return broken
