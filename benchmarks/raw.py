"""What the medium can do:

the journal's row inserted by the bare driver, one commit a row, and sixteen rows a commit.
"""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TABLE = (
    "CREATE TABLE raw (execution_id VARCHAR(255), seq INTEGER, epoch INTEGER, kind VARCHAR(24), step_key TEXT, "
    "at DOUBLE PRECISION, payload {bytes}, digest {bytes}, PRIMARY KEY (execution_id, seq)){tail}"
)
PAYLOAD = b'{"name":"work","arguments_hash":"' + b"0" * 64 + b'","effect":"idempotent"}\n{"v":1,"d":{"ok":true}}'


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    """Rows as the journal writes them for a small step."""
    for seq in range(1, count + 1):
        yield ("raw", seq, 1, "step_done", f"work#{seq}", 1.0, PAYLOAD, b"0" * 32)


def sqlite(path: Path) -> tuple[Callable[[list[Any]], None], Callable[[], None]]:
    """A commit function for the rows it is given, and the closing of its file."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(TABLE.format(bytes="BLOB", tail=" WITHOUT ROWID"))
    insert = f"INSERT INTO raw VALUES ({','.join('?' * 8)})"

    def commit(batch: list[Any]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, batch)
        connection.execute("COMMIT")

    return commit, connection.close


def postgresql(url: str) -> tuple[Callable[[list[Any]], None], Callable[[], None]]:
    """As ``sqlite``, by psycopg."""
    connection = psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"))
    connection.execute("DROP TABLE IF EXISTS raw")
    connection.execute(TABLE.format(bytes="BYTEA", tail=""))
    connection.commit()
    insert = f"INSERT INTO raw VALUES ({','.join(['%s'] * 8)})"

    def commit(batch: list[Any]) -> None:
        with connection.cursor() as cursor:
            if len(batch) == 1:
                cursor.execute(insert, batch[0])
            else:
                cursor.executemany(insert, batch)
        connection.commit()

    return commit, connection.close


def seconds_a_row(commit: Callable[[list[Any]], None], count: int, group: int) -> float:
    """Seconds a row, ``group`` rows a commit."""
    found = list(rows(count))
    began = time.perf_counter()
    for start in range(0, count, group):
        commit(found[start : start + group])
    return (time.perf_counter() - began) / count
