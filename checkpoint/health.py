"""Ask a database about itself without changing it: how it is set, what is in it, whether it is sound."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from durable.checkpoint import schema, stranded
from durable.checkpoint.errors import JournalCorrupt
from durable.checkpoint.journal import journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

    from durable.checkpoint.database import Database

_BLOB = b"\0"
_PRAGMAS = ("journal_mode", "synchronous", "foreign_keys")
_SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "max_connections")
_SYNCHRONOUS = {"0": "OFF", "1": "NORMAL", "2": "FULL", "3": "EXTRA"}


@dataclass(frozen=True, slots=True)
class Reply:
    """Reply of a database: how long (seconds) it took, and its clock beside this machine's, in epoch seconds."""

    took: float
    database_time: float
    machine_time: float

    @property
    def skew(self) -> float:
        """Return the seconds by which the database's clock is ahead, up to half of what the reply took."""
        return self.database_time - self.machine_time


def missing_file(db: Database) -> Path | None:
    """Return the SQLite file of this database if it does not exist: connecting would create it."""
    name = db.url.database or ""
    if not db.is_sqlite or name.startswith("file:") or Path(name).exists():
        return None
    return Path(name)


def ask(db: Database) -> Reply:
    """Ask the database one question. Raises StorageError."""
    with db.read() as connection:
        connection.execute(select(1))
        began = time.monotonic()
        machine_time = time.time()
        database_time = float(connection.execute(select(db.now())).scalar_one())
        took = time.monotonic() - began
    return Reply(took, database_time, machine_time + took / 2)


def settings(db: Database) -> dict[str, str]:
    """Return what durability rests on: the PRAGMAs of a connection of ours, or the server's settings."""
    with db.read() as connection:
        if not db.is_sqlite:
            return {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar()) for name in _SETTINGS}
        values = {"sqlite": str(connection.exec_driver_sql("SELECT sqlite_version()").scalar())}
        for name in _PRAGMAS:
            values[name] = str(connection.exec_driver_sql(f"PRAGMA {name}").scalar())
    return values | {"synchronous": _SYNCHRONOUS.get(values["synchronous"], values["synchronous"])}


def counts(connection: Connection) -> dict[str, dict[str, int]]:
    """Return rows by status for executions and interrupts, and in all for tables without a status; every namespace."""
    numbers: dict[str, dict[str, int]] = {}
    for table in (schema.executions, schema.interrupts):
        by_status = select(table.c.status, func.count()).group_by(table.c.status).order_by(table.c.status)
        numbers[table.name] = {row[0]: row[1] for row in connection.execute(by_status)}
    for table in (schema.journal, schema.signals, schema.blobs):
        total = connection.execute(select(func.count()).select_from(table)).scalar_one()
        numbers[table.name] = {"total": total}
    return numbers


def expired(db: Database, connection: Connection, namespace: str) -> Mapping[str, int]:
    """Return owners whose leases are over, with the number of executions they still have."""
    table = schema.executions.c
    rows = connection.execute(
        select(table.lease_owner, func.count())
        .where(table.namespace == namespace, table.status == "running", table.lease_expires_at < db.now())
        .group_by(table.lease_owner)
    )
    return {str(owner): number for owner, number in rows}


def problems(db: Database) -> Iterator[str]:
    """Yield everything that is wrong with what is stored, in words: the file, the digest chains, the blobs."""
    with db.read() as connection:
        if db.is_sqlite:
            for (finding,) in connection.exec_driver_sql("PRAGMA integrity_check").all():
                if finding != "ok":
                    yield f"the file: {finding}"
        blobs = set(connection.execute(select(schema.blobs.c.digest)).scalars())
        executions = schema.executions.c
        epochs = connection.execute(select(executions.id, executions.epoch).order_by(executions.id)).all()
        lost = (
            select(schema.journal.c.execution_id)
            .distinct()
            .where(schema.journal.c.execution_id.not_in(select(schema.executions.c.id)))
        )
        for execution_id in connection.execute(lost).scalars():
            yield f"journal of {execution_id!r}: there is no such execution"
        for namespace in connection.execute(select(schema.executions.c.namespace).distinct()).scalars().all():
            for execution_id in stranded.stranded(connection, namespace):
                yield f"execution {execution_id!r}: it waits for an answer that it has; any worker wakes it"
    yield from _broken_blobs(db, blobs)
    for execution_id, epoch in epochs:
        yield from _broken_journal(db, execution_id, epoch, blobs)


def _broken_blobs(db: Database, blobs: set[str]) -> Iterator[str]:
    table = schema.blobs.c
    for digest in sorted(blobs):
        with db.read() as connection:
            data = connection.execute(select(table.data).where(table.digest == digest)).scalar()
        if data is not None and hashlib.sha256(data).hexdigest() != digest:
            yield f"blob {digest}: it was changed"


def _broken_journal(db: Database, execution_id: str, epoch: int, blobs: set[str]) -> Iterator[str]:
    with db.read() as connection:
        if journal.head(connection, execution_id)[0] == 0:
            yield f"journal of {execution_id!r}: it is empty"
            return
        try:
            journal.verify(connection, execution_id, epoch=epoch)
        except JournalCorrupt as exc:
            yield str(exc)
            return
        for record in journal.read(connection, execution_id, bytes):
            stored = record.stored or b""
            if stored.startswith(_BLOB) and stored[1:].hex() not in blobs:
                yield f"journal of {execution_id!r}: the value of record {record.seq} is missing"
