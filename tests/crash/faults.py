"""Faults: a process that dies at its N-th point, as by SIGKILL: no ``finally``, no ``atexit``, nothing is flushed.

A point stands before and after everything that can change a state: each statement that writes, each commit of an engine,
each effect on the world outside. (A transaction that only reads has one point, behind it.) The ``Crash`` is an object that is passed in and listens to one engine; the product knows nothing of it.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

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
    just before the end, to tell another process where it came.
    """

    def __init__(
        self,
        at: int | None = None,
        *,
        only_changes: bool = False,
        last_words: Callable[[int, str], None] | None = None,
    ) -> None:
        self.at = at
        self.count = 0
        self._only_changes = only_changes
        self._last_words = last_words
        self._lock = threading.Lock()
        self._writing: set[int] = set()

    def point(self, label: str) -> None:
        """One point is reached."""
        if self._only_changes and not label.startswith(CHANGES):
            return
        with self._lock:
            self.count += 1
            if self.count == self.at:
                if self._last_words is not None:
                    self._last_words(self.count, label)
                os.kill(os.getpid(), signal.SIGKILL)

    def listen(self, engine: Engine) -> None:
        """A point before each statement that writes, and before and after each commit of this engine."""
        event.listen(engine, "before_cursor_execute", self._statement)
        commit = engine.dialect.do_commit

        def committed(connection: Any) -> None:
            wrote = id(connection.dbapi_connection) in self._writing
            self._writing.discard(id(connection.dbapi_connection))
            if wrote:
                self.point("before commit")
            commit(connection)
            self.point("committed" if wrote else "read")

        engine.dialect.do_commit = committed

    def _statement(self, connection: Any, _cursor: object, statement: str, *_: object) -> None:
        said = " ".join(statement.split())
        if said.startswith(WRITES):
            self._writing.add(id(connection.connection.dbapi_connection))
            self.point("before " + said[:LONGEST_LABEL])
