"""Places: where the stories of one scenario happen. One database, made new for each story, and one folder.

The engine is warmed up in this process by one undisturbed life, and inherited by all that are forked from it: what
SQLAlchemy compiles is compiled once. When a child is forked none of the engine's connections is open, and no thread of
ours runs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg import sql
from sqlalchemy import inspect, make_url, text

from durable import Runtime
from durable.checkpoint import migrations
from durable.checkpoint.database import Database
from durable.testing.outside import Outside
from durable.testing.processes import sqlite_template
from tests.crash.facts import gather
from tests.crash.scenario import live
from tests.postgres import fresh_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL

    from tests.crash.scenario import Scenario

ROOT = "DURABLE_TEST_ROOT"
"""Environment variable: the folder of the test session, in memory where there is room."""


class Places:
    """A database on SQLite, or in the PostgreSQL server whose url is given, and a ledger, for one scenario."""

    def __init__(self, scenario: Scenario, server: str | None = None) -> None:
        self.scenario = scenario
        self._server = server
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="crash-", dir=os.environ.get(ROOT)))
        self._held.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self.ledger = self._folder / "ledger"
        if self._server is None:
            shutil.copy(sqlite_template(), self._folder / "durable.db")
            self._url = make_url(f"sqlite:///{self._folder}/durable.db")
        else:
            template = _postgres_template(self._server)
            self._url = make_url(self._held.enter_context(fresh_database(self._server, template=template)))
            self._admin = self._held.enter_context(psycopg.connect(_plain(self._url), autocommit=True))
        self._prepare()
        self._warm_up()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @contextmanager
    def runtime(self, world: Outside) -> Iterator[Runtime]:
        """A runtime in this place, on the shared engine; at its end all of its connections and threads are closed."""
        database = Database(_text(self._url), clock_offset=world.clock())
        database.engine = self.engine
        with Runtime(database=database, **self.scenario.runtime_options) as runtime:
            yield runtime

    def fresh(self) -> None:
        """Make it as if nothing had happened here."""
        self.ledger.unlink(missing_ok=True)
        if self._server is not None:
            self._empty()
            return
        for left in self._folder.glob("durable.db*"):
            left.unlink()
        shutil.copy(self._folder / "template", self._folder / "durable.db")

    @contextmanager
    def kept(self) -> Iterator[Callable[[], None]]:
        """What stands here now, to come back to: a function that brings it back. SQLite only."""
        kept = Path(tempfile.mkdtemp(dir=self._folder))
        files = [path for path in self._folder.iterdir() if path.is_file() and not path.name.endswith("-shm")]
        for path in files:
            shutil.copy(path, kept)

        def again() -> None:
            self.fresh()
            for path in files:
                shutil.copy(kept / path.name, path)

        yield again
        shutil.rmtree(kept)

    def _prepare(self) -> None:
        database = Database(_text(self._url))
        self.engine = database.engine
        with database.write() as connection:
            for table in self.scenario.tables:
                connection.execute(text(table))
            names = inspect(connection).get_table_names()
        self._tables = [name for name in names if name != migrations.VERSION_TABLE]
        database.close()  # the last connection to a SQLite file brings its WAL into it
        if self._server is None:
            shutil.copy(self._folder / "durable.db", self._folder / "template")

    def _warm_up(self) -> None:
        self.fresh()
        world = Outside(self.ledger)
        with self.runtime(world) as runtime:
            live(self.scenario, runtime, world, recover_first=False)
            gather(runtime)

    def _empty(self) -> None:
        tables = sql.SQL(", ").join(map(sql.Identifier, self._tables))
        # whoever was killed in the middle of a commit may still be committing: behind this lock, no longer
        clean = [sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(tables)]
        for name in sorted(self._tables, key=lambda name: name == "executions"):  # the others refer to it
            clean.append(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
        with self._admin.transaction():
            self._admin.execute(sql.SQL("; ").join(clean))


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _plain(url: URL) -> str:
    return _text(url.set(drivername="postgresql"))


@cache
def _postgres_template(server: str) -> str:
    """The name of a database with the schema in it and nothing else, made once in this process; it goes with the server."""
    name = f"crash_{os.getpid()}"
    with psycopg.connect(_plain(make_url(server)), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    _migrate(_text(make_url(server).set(database=name)))
    return name


def _migrate(url: str) -> None:
    database = Database(url)
    migrations.upgrade(database)
    database.close()
