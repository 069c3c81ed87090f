"""Faults: a process that dies at its N-th point, as by SIGKILL: no ``finally``, no ``atexit``, nothing is flushed.

A point stands before and after everything that can change a state: each statement that writes, each commit of an engine,
each effect on the world outside. (A transaction that only reads has none: around it nothing differs.) Statements are seen
at the driver, whatever way they take there. The ``Crash`` is an object that is passed in; the product knows nothing of it.

The label of a point says of what kind it is: ``before INSERT journal``, ``before commit of snapshots, step_done``, ``committed
snapshots, step_done`` (the kinds of the records and the other tables written to), ``before charge``, ``after charge``.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from sqlalchemy import event

from durable.checkpoint import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine

WRITES = {"INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER"}
RECORD = re.compile(r"VALUES \('(?:[^']|'')*', \d+, \d+, '(\w+)'")
"""Where the kind of a record stands in the statement as SQLite gives it, with its values."""

CHANGES = ("committed", "after")
"""How the labels of those points begin before which something has changed. Between two of them nothing does."""


class Moment(NamedTuple):
    """The n-th point (from 1) with this label, however many others there are before it."""

    label: str
    nth: int


class Crash:
    """Counts points, and kills this process at point ``at`` (a number from 1, or a Moment; None only counts). Thread-safe.

    ``only_changes`` counts only the points that stand right behind a change. ``last_words(number, label)`` is called
    just before the end, to tell another process where it came. Nothing is counted before ``begin``.
    """

    def __init__(
        self,
        at: int | Moment | None = None,
        *,
        only_changes: bool = False,
        last_words: Callable[[int, str], None] | None = None,
    ) -> None:
        self.at = at
        self.labels: Counter[str] = Counter()
        self._begun = False
        self._only_changes = only_changes
        self._last_words = last_words
        self._lock = threading.Lock()
        self._written: dict[int, set[str]] = {}

    @property
    def count(self) -> int:
        """How many points there were."""
        return self.labels.total()

    def begin(self) -> None:
        """Count from now on."""
        self._begun = True

    def end(self) -> None:
        """Count no more."""
        self._begun = False

    def point(self, label: str) -> None:
        """One point is reached."""
        if not self._begun or (self._only_changes and not label.startswith(CHANGES)):
            return
        with self._lock:
            self.labels[label] += 1
            if self.at in {self.count, (label, self.labels[label])}:
                if self._last_words is not None:
                    self._last_words(self.count, label)
                os.kill(os.getpid(), signal.SIGKILL)

    def listen(self, engine: Engine) -> None:
        """A point before each statement that writes, and before and after each commit of what was written by this engine.

        Only connections opened from now on are listened to.
        """
        event.listen(engine, "connect", self._connected)
        commit, rollback = engine.dialect.do_commit, engine.dialect.do_rollback

        def committing(connection: Any) -> None:
            written = ", ".join(sorted(self._written.pop(id(connection.dbapi_connection), ())))
            if written:
                self.point(f"before commit of {written}")
            commit(connection)
            if written:
                self.point(f"committed {written}")

        def rolling_back(connection: Any) -> None:
            self._written.pop(id(connection.dbapi_connection), None)
            rollback(connection)

        engine.dialect.do_commit, engine.dialect.do_rollback = committing, rolling_back

    def _connected(self, connection: Any, _: object) -> None:
        statement = partial(self._statement, id(connection))
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(statement)
        else:
            connection.cursor_factory = _cursor(statement)

    def _statement(self, connection: int, text: str, rows: Sequence[Any] = ()) -> None:
        verb, _, rest = text.strip().partition(" ")
        if verb not in WRITES:
            return
        table = next(word for word in rest.replace('"', "").split() if word[0].islower())
        appends = (verb, table) == ("INSERT", schema.journal.name)
        records = {*RECORD.findall(text), *(row["kind"] for row in rows)} if appends else set()
        self._written.setdefault(connection, set()).update(records or {table})
        self.point(f"before {verb} {table}")


def _cursor(statement: Callable[[str, Sequence[Any]], None]) -> type[psycopg.Cursor[Any]]:
    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
            statement(str(query), [] if params is None else [params])
            return super().execute(query, params, **kwargs)

        def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> None:
            statement(str(query), params_seq)
            super().executemany(query, params_seq, **kwargs)

    return Cursor
