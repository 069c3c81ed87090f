"""Open the database: one engine, two kinds of transaction, one thread pool for async callers.

``read()`` and ``write()`` are the only ways in. On SQLite a write transaction starts with ``BEGIN IMMEDIATE``
(a read that turns into a write fails at once with SQLITE_BUSY_SNAPSHOT, whatever the timeout), the file is in WAL
mode and ``synchronous=FULL``: a commit that was answered survives power loss. On PostgreSQL each wait for the server
has a deadline in the client.

Sources: https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import asyncio
import contextvars
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from sqlalchemy import URL, create_engine, event, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import Double

from durable.checkpoint.errors import (
    DatabaseBusy,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    InvalidConfiguration,
    NotADatabase,
    StorageError,
)
from durable.checkpoint.forked import renew_after_fork
from durable.checkpoint.prepared import run_bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Table

P = ParamSpec("P")
T = TypeVar("T")

JOURNAL_THREADS = 32
"""Waiting for a commit costs a thread, not a core; those that wait share one commit."""


class _Now(ColumnElement[float]):
    type = Double()
    inherit_cache = True


_CLOCK = select(_Now())


@compiles(_Now, "sqlite")
def _now_sqlite(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(_Now, "postgresql")
def _now_postgresql(*_: Any, **__: Any) -> str:
    return "extract(epoch from clock_timestamp())::float8"


_OF_THE_PARENT: list[Any] = []
"""What a forked child must not even collect: closing a connection would end it for the parent too."""


class Database:
    """One database file or server, shared by all threads of this process.

    ``timeout`` (seconds) bounds the wait for a lock and for an answer. ``clock_offset`` (seconds) is added to the
    database's clock, for tests that let days pass. ``synchronous="NORMAL"`` (SQLite) may forget the last
    acknowledged steps at power loss. Raises InvalidConfiguration for a url that cannot be used.
    """

    def __init__(
        self, url: str, *, timeout: float = 30.0, synchronous: str = "FULL", clock_offset: float = 0.0
    ) -> None:
        self.url = _parse(url)
        self.timeout = timeout
        self.clock_offset = clock_offset
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if synchronous.upper() not in {"FULL", "NORMAL", "EXTRA"}:
            msg = f"synchronous={synchronous!r}: use 'FULL', or 'NORMAL' to accept losing steps at power loss"
            raise InvalidConfiguration(msg)
        self._synchronous = synchronous.upper()
        self._one_writer = threading.Lock()
        self._executor = ThreadPoolExecutor(JOURNAL_THREADS, thread_name_prefix="durable-journal")
        self.engine = self._sqlite_engine() if self.is_sqlite else self._postgresql_engine()
        self._clock: tuple[float, float] | None = None
        self._kept: Connection | None = None
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the parent its connections and threads."""
        _OF_THE_PARENT.append((self.engine.pool, self._kept, self._executor))
        self._kept = self._clock = None
        self._one_writer = threading.Lock()
        self._executor = ThreadPoolExecutor(JOURNAL_THREADS, thread_name_prefix="durable-journal")
        self.engine.dispose(close=False)

    def _sqlite_engine(self) -> Any:
        engine = create_engine(
            self.url,
            connect_args={"timeout": self.timeout, "isolation_level": None},
            pool_size=JOURNAL_THREADS,
            max_overflow=-1,
            pool_use_lifo=True,  # the connection used last has its pages in memory
        )

        @event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _: Any) -> None:
            for pragma in (
                "journal_mode=WAL",
                f"synchronous={self._synchronous}",
                "foreign_keys=ON",
                "journal_size_limit=67108864",
            ):
                _patiently(partial(connection.execute, f"PRAGMA {pragma}"), self.timeout)

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            reads = connection.get_execution_options().get("durable_read")
            run_bare(connection, "BEGIN" if reads else "BEGIN IMMEDIATE")

        return engine

    def _postgresql_engine(self) -> Any:
        try:
            from durable.checkpoint.deadline import connector  # noqa: PLC0415 - psycopg is an optional extra
        except ImportError as exc:
            msg = "PostgreSQL needs psycopg: pip install 'durable-adapters[postgres]'"
            raise InvalidConfiguration(msg) from exc
        dialect = self.url.get_dialect()()
        args, kwargs = dialect.create_connect_args(self.url)
        return create_engine(
            self.url,
            creator=connector(self.timeout, *args, **kwargs),
            pool_pre_ping=True,
            pool_size=8,
            max_overflow=JOURNAL_THREADS,
        )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state and writes nothing."""
        with self._translated(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.execution_options(durable_read=True)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a write transaction: all of it commits at the end of the block, or none.

        DatabaseUnavailable leaves it unknown whether the commit was carried out.
        """
        with self._turn(), self._translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write_again(self) -> Iterator[Connection]:
        """Yield a write transaction on one connection that is kept for the next.

        Only the journal's writer uses it: it never runs beside itself.
        """
        with self._turn(), self._translated():
            if self._kept is None:
                self._kept = self.engine.connect()
            try:
                with self._kept.begin():
                    yield self._kept
            except BaseException:
                self._drop_kept()
                raise

    def _drop_kept(self) -> None:
        connection = self._kept
        self._kept = None
        if connection is not None:
            with suppress(DBAPIError):  # it is being thrown away, also where it is broken
                connection.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait in line for SQLite's one write lock. SQLite itself would sleep, longer each time."""
        if self.is_sqlite and not self._one_writer.acquire(timeout=self.timeout):
            raise DatabaseBusy
        try:
            yield
        finally:
            if self.is_sqlite:
                self._one_writer.release()

    def transact(self, change: Callable[[Connection], T]) -> T:
        """Run ``change`` in a write transaction; again while another writer is in the way, until ``timeout``."""
        give_up = time.monotonic() + self.timeout
        while True:
            try:
                with self.write() as connection:
                    return change(connection)
            except DatabaseBusy:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.005)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError) as exc:
            raise translate(exc, self.url) from exc
        except PoolTimeout as exc:
            raise DatabaseUnavailable(f"all connections of this process are in use: {exc}") from exc
        except DBAPIError as exc:
            # sqlite3 raises plain DatabaseError for a file that is no database, psycopg InternalError where nobody
            # may write. Not the whole text is looked at: it has the statement's parameters.
            text = str(exc.orig)
            if type(exc) is not DBAPIError and not any(phrase in text for phrase in _FOR_EVERYBODY):
                raise
            raise translate(exc, self.url) from exc

    def passes(self, error: BaseException) -> bool:
        """True if a driver's error inside a transaction says that the same may succeed if all of it is tried again."""
        return isinstance(error, DBAPIError) and (
            error.connection_invalidated or isinstance(translate(error, self.url), DatabaseBusy)
        )

    def now(self) -> ColumnElement[float]:
        """Return the database's clock as an SQL expression, in epoch seconds."""
        return _Now() + self.clock_offset if self.clock_offset else _Now()

    def sync_clock(self, connection: Connection) -> float:
        """Read the database's clock, and remember how far this process's monotonic clock is from it."""
        at = float(connection.execute(_CLOCK).scalar_one()) + self.clock_offset
        self._clock = (at, time.monotonic())
        return at

    def clock(self) -> float:
        """Return the database's time as known from the last ``sync_clock``: epoch seconds, without a query."""
        if self._clock is None:
            with self.read() as connection:
                return self.sync_clock(connection)
        at, mark = self._clock
        return at + time.monotonic() - mark

    def insert_or_ignore(self, table: Table) -> Any:
        """Return an INSERT that leaves an existing row as it is. Its ``rowcount`` is 1 if there was none."""
        return _insert_or_ignore(table, self.engine.dialect.name)

    async def on_journal_thread(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call on this database's own threads, context variables copied; the event loop goes on."""
        context = contextvars.copy_context()
        call = partial(context.run, fn, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def surely_on_journal_thread(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run like ``on_journal_thread``; a caller that is cancelled meanwhile learns it when the call has ended."""
        call = partial(contextvars.copy_context().run, fn, *args, **kwargs)
        running = asyncio.wrap_future(self._executor.submit(call))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            running.exception()  # seen: it goes down with the cancellation
            raise

    def close(self) -> None:
        """Close the pool and the threads; what was committed stays."""
        self._executor.shutdown(wait=False)
        self._drop_kept()
        self.engine.dispose()


@cache
def _insert_or_ignore(table: Table, dialect: str) -> Any:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def _patiently(call: Callable[[], object], seconds: float) -> None:
    """Call until it succeeds, for ``seconds`` at most, where SQLite does not wait by itself.

    Of several processes that switch a new file to WAL at once, one succeeds and the others are refused.
    """
    give_up = time.monotonic() + seconds
    while True:
        try:
            call()
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > give_up:
                raise
            time.sleep(0.005)
        else:
            return


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        if backend == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError) as exc:
        msg = f"{url!r} is not a database url; use sqlite:///path/to/file.db or postgresql://user@host/database"
        raise InvalidConfiguration(msg) from exc
    except ModuleNotFoundError as exc:
        msg = f"{exc.name} is not installed; PostgreSQL needs: pip install 'durable-adapters[postgres]'"
        raise InvalidConfiguration(msg) from exc
    if backend not in {"sqlite", "postgresql"} or parsed.drivername not in {
        "sqlite",
        "sqlite+pysqlite",
        "postgresql+psycopg",
    }:
        msg = f"{parsed.drivername} is not supported; use sqlite:///file.db or postgresql://..."
        raise InvalidConfiguration(msg)
    if backend == "sqlite" and (parsed.database in {None, "", ":memory:"} or "mode=memory" in str(parsed)):
        msg = "an in-memory SQLite database forgets everything at a crash; give it a file: sqlite:///durable.db"
        raise InvalidConfiguration(msg)
    return parsed


_FOR_EVERYBODY = ("not a database", "malformed", "read-only transaction")
"""What drivers report as an error of a kind that is otherwise the statement's own."""

_MEANINGS: tuple[tuple[str, type[StorageError]], ...] = (
    ("not a database", NotADatabase),
    ("malformed", NotADatabase),
    ("readonly", DatabaseReadOnly),
    ("read-only", DatabaseReadOnly),
    ("disk is full", DatabaseFull),
    ("no space left", DatabaseFull),
    ("disk i/o error", DatabaseFull),
    ("locked", DatabaseBusy),
    ("deadlock detected", DatabaseBusy),
    ("could not serialize", DatabaseBusy),
)


def translate(exc: DBAPIError, url: URL) -> StorageError:
    """Return the error of our tree for a driver's error.

    Its message has the database (without password) and the remedy.
    """
    text = str(exc.orig or exc)
    where = url.render_as_string(hide_password=True)
    for phrase, error in _MEANINGS:
        if phrase in text.lower():
            return error(f"{where}: {text}. {error.__doc__}")
    return DatabaseUnavailable(f"{where}: {text}. {DatabaseUnavailable.__doc__}")
