"""Processes: runtimes that come and go on one database, and forked ones that end by SIGKILL at a given moment."""

from __future__ import annotations

import atexit
import gc
import os
import select
import shutil
import signal
import tempfile
import threading
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from durable.checkpoint import migrations
from durable.checkpoint.database import Database
from durable.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEASE = 30.0
DEADLINE = 60.0
"""Seconds a forked process may take; one that hangs is ended and counts as one that failed."""

START = "the start"
COMMITTED = "committed"


class Processes:
    """Runtimes on one database, each of which stands for a process. ``now`` is how many seconds have passed."""

    def __init__(self, url: str, namespace: str = "default") -> None:
        self.url = url
        self.namespace = namespace
        self.now = 0.0
        self._alive: list[Runtime] = []

    def process(self, *, point: Callable[[str], None] | None = None, **options: Any) -> Runtime:
        """Return a new runtime. ``point("committed")`` is called behind each of its commits."""
        if point is None:
            database = Database(self.url, clock_offset=self.now)
        else:
            database = PointedDatabase(self.url, point, clock_offset=self.now)
        runtime = Runtime(database=database, namespace=self.namespace, lease=LEASE, **options)
        self._alive.append(runtime)
        return runtime

    def close(self) -> None:
        """Close all of them."""
        for runtime in self._alive:
            runtime.close()
        self._alive.clear()


class PointedDatabase(Database):
    """A database with a point behind each commit."""

    def __init__(self, url: str, point: Callable[[str], None], **options: Any) -> None:
        super().__init__(url, **options)
        self._point = point

    @contextmanager
    def write(self) -> Iterator[Any]:
        """As ``Database.write``."""
        with super().write() as connection:
            yield connection
        self._point(COMMITTED)

    @contextmanager
    def write_again(self) -> Iterator[Any]:
        """As ``Database.write_again``."""
        with super().write_again() as connection:
            yield connection
        self._point(COMMITTED)


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment at which a process ends: so many commits behind the point of this label.

    Commits count up to the next point of another label.
    """

    label: str
    commits: int = 0


class Death:
    """Ends this process by SIGKILL at its moment: no ``finally``, no ``atexit``, nothing is flushed. Thread-safe."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._commits: int | None = None
        self._lock = threading.Lock()

    def point(self, label: str) -> None:
        """Reach a point."""
        with self._lock:
            if label == self._moment.label:
                self._commits = 0
            elif label != COMMITTED:
                self._commits = None
            elif self._commits is not None:
                self._commits += 1
            if self._commits == self._moment.commits:
                os.kill(os.getpid(), signal.SIGKILL)


def killed(work: Callable[[], Any]) -> bool:
    """Run ``work`` in a forked process and wait for its end. Return True if it was killed, False if it came to its end.

    Raises AssertionError with its traceback if it raised, or if it did not end in time.
    """
    hearing, telling = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads; those of a test are idle
        pid = os.fork()
    if pid == 0:
        gc.disable()  # a life is short, and a collection would copy every page it shares with its parent
        try:
            work()
        except BaseException:  # noqa: BLE001 - told to the parent
            os.write(telling, traceback.format_exc().encode()[-60_000:])
        finally:
            os._exit(0)
    os.close(telling)
    words = _read(hearing, pid)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert not words, words
    return status == -signal.SIGKILL


def _read(hearing: int, pid: int) -> str:
    words = b""
    while select.select([hearing], [], [], DEADLINE)[0]:
        more = os.read(hearing, 1 << 16)
        if not more:
            os.close(hearing)
            return words.decode()
        words += more
    os.kill(pid, signal.SIGKILL)
    os.close(hearing)
    return f"the process did not end within {DEADLINE} s"


@cache
def sqlite_template() -> Path:
    """Return a file with the schema in it and nothing else, made once in this process."""
    folder = Path(tempfile.mkdtemp(prefix="durable-", dir=os.environ.get("DURABLE_TEST_ROOT")))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = Database(f"sqlite:///{folder}/durable.db")
    migrations.upgrade(database)
    database.close()
    return folder / "durable.db"
