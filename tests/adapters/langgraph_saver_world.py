"""What the saver's tests are told in: configs, checkpoints and chains of them, and the rows they leave."""

from __future__ import annotations

from langgraph.checkpoint.base.id import uuid6
from sqlalchemy import select

from durable.checkpoint import schema

TABLES = (schema.snapshots, schema.snapshot_values, schema.snapshot_writes, schema.snapshot_pieces)


def at(thread="thread", ns="", checkpoint_id=None):
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id}}


def checkpoint(values=None, versions=None):
    values = values or {}
    return {
        "v": 4,
        "id": str(uuid6(clock_seq=0)),
        "ts": "2025-01-01T00:00:00+00:00",
        "channel_values": values,
        "channel_versions": dict.fromkeys(values, "1") if versions is None else versions,
        "versions_seen": {"__input__": {}},
        "updated_channels": None,
    }


def put(saver, values=None, config=None, **metadata):
    made = checkpoint(values)
    versions = made["channel_versions"]
    return saver.put(config or at(), made, {"source": "loop", "step": 1, "parents": {}, **metadata}, versions)


def chain(saver, count, thread="thread", ns=""):
    """That many checkpoints, each the parent of the next: their ids, oldest first."""
    config, made = at(thread, ns), []
    for number in range(count):
        config = put(saver, {"n": number}, config, step=number, odd=bool(number % 2))
        made.append(config["configurable"]["checkpoint_id"])
    return made


def ids(found):
    return [each.checkpoint["id"] for each in found]


def rows(runtime):
    """Everything in the snapshot tables of this runtime's namespace."""
    with runtime.database.read() as connection:
        return {
            table.name: sorted(
                map(repr, connection.execute(select(table).where(table.c.namespace == runtime.namespace)).all())
            )
            for table in TABLES
        }
