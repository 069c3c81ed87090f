"""Bring the schema of a database to what this code needs, once, whichever process comes first.

``upgrade`` is safe with any number of processes at the same time: on PostgreSQL one of them holds an advisory lock to
the end of its transaction, on SQLite the write transaction itself is alone; the others find the work done. All of an
upgrade commits, or nothing of it. Where there is nothing to do it costs one select, and alembic is not imported.

The version stands in a table of our own name, ``durable_schema``: ``alembic_version`` may be the application's.

Source: https://alembic.sqlalchemy.org/en/latest/cookbook.html#connection-sharing
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import column as named
from sqlalchemy import func, inspect, select, table

from durable.checkpoint.errors import SchemaTooNew

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from durable.checkpoint.database import Database

KNOWN: tuple[str, ...] = ("0001", "0002")
"""The versions this code can upgrade from, oldest first."""

HEAD: str = KNOWN[-1]
"""The version this code reads and writes."""

VERSION_TABLE = "durable_schema"

_LOCK = 0x64757261626C65  # any number that no one else locks
_one_at_a_time = threading.Lock()  # alembic keeps what it works on in a module
_version = table(VERSION_TABLE, named("version_num"))


def current(db: Database) -> str | None:
    """Return the version of the database's schema; None if it has none of our tables."""
    with db.read() as connection:
        return _current(connection)


def upgrade(db: Database) -> None:
    """Bring the schema to ``HEAD``. Raises SchemaTooNew if a newer version of this library wrote it."""
    if _needed(db, current(db)):
        with _one_at_a_time:
            db.transact(lambda connection: _migrate(db, connection))


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_version.c.version_num)).scalar()


def _needed(db: Database, version: str | None) -> bool:
    if version is not None and version not in KNOWN:
        where = db.url.render_as_string(hide_password=True)
        msg = (
            f"the schema of {where} has version {version}, this process knows versions up to {HEAD}: a newer version "
            "of durable-adapters has upgraded it; upgrade durable-adapters here too (pip install -U durable-adapters)"
        )
        raise SchemaTooNew(msg)
    return version != HEAD


def _migrate(db: Database, connection: Connection) -> None:
    if not db.is_sqlite:
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    if not _needed(db, _current(connection)):
        return
    from alembic import command  # noqa: PLC0415 - only where there is something to do
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
