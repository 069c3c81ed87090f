"""Faults: a process that dies at its N-th point, as by SIGKILL: no ``finally``, no ``atexit``, nothing is flushed.

A point stands before and after everything that can change a state: each statement that writes, each commit of an engine,
each effect on the world outside. (A transaction that only reads has none: around it nothing differs.) Statements are seen
at the driver, whatever way they take there. The ``Crash`` is an object that is passed in; the product knows nothing of it.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

LONGEST_LABEL = 60
WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER")
CHANGES = ("committed", "after")
"""How the labels of those points begin before which something has changed. Between two of them nothing does."""


class Crash:
    """Counts points, and kills this process at point ``at`` (from 1; None only counts). Thread-safe.

    ``only_changes`` counts only the points that stand right behind a change. ``last_words(number, label)`` is called
    just before the end, to tell another process where it came. Nothing is counted before ``begin``.
    """

    def __init__(
        self,
        at: int | None = None,
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
        self._writing: set[int] = set()

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
            if self.count == self.at:
                if self._last_words is not None:
                    self._last_words(self.count, label)
                os.kill(os.getpid(), signal.SIGKILL)

    def listen(self, engine: Engine) -> None:
        """A point before each statement that writes, and before and after each commit of what was written by this engine.

        Only connections opened from now on are listened to.
        """
        event.listen(engine, "connect", self._connected)
        commit = engine.dialect.do_commit

        def committing(connection: Any) -> None:
            wrote = id(connection.dbapi_connection) in self._writing
            self._writing.discard(id(connection.dbapi_connection))
            if wrote:
                self.point("before commit")
            commit(connection)
            if wrote:
                self.point("committed")

        engine.dialect.do_commit = committing

    def _connected(self, connection: Any, _: object) -> None:
        statement = partial(self._statement, id(connection))
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(statement)
        else:
            connection.cursor_factory = _cursor(statement)

    def _statement(self, connection: int, text: str) -> None:
        said = " ".join(text.split())
        if said.startswith(WRITES):
            self._writing.add(connection)
            self.point("before " + said.replace('"', "")[:LONGEST_LABEL])


def _cursor(statement: Callable[[str], None]) -> type[psycopg.Cursor[Any]]:
    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            statement(str(query))
            return super().execute(query, *args, **kwargs)

        def executemany(self, query: Any, *args: Any, **kwargs: Any) -> None:
            statement(str(query))
            super().executemany(query, *args, **kwargs)

    return Cursor
