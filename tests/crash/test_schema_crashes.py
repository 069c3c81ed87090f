"""Killed while it makes the schema, a process leaves nothing behind that keeps the next one from making it."""

from __future__ import annotations

from contextlib import ExitStack

import alembic.command
import alembic.config  # noqa: F401 - imported once, for all processes that are forked
import pytest
from sqlalchemy import inspect

from durable.checkpoint import migrations, schema
from durable.checkpoint.database import Database
from tests.crash.faults import Crash
from tests.crash.life import Listener
from tests.postgres import fresh_database


def upgraded(url, at=None):
    """A process that upgrades the database and is killed at point ``at``: what it told."""

    def work(_, tell):
        database = Database(url)
        crash = Crash(at, last_words=lambda number, label: tell(killed=[number, label]))
        crash.listen(database.engine)
        crash.begin()
        migrations.upgrade(database)
        crash.end()
        with database.read() as connection:
            names = inspect(connection).get_table_names()
        tell(points=crash.count, outputs={"version": str(migrations.current(database)), "tables": sorted(names)})

    return Listener(work).hear()


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request, tmp_path):
    """Makes empty databases."""
    if request.param == "sqlite":
        yield lambda number: f"sqlite:///{tmp_path}/{number}.db"
        return
    server = request.getfixturevalue("postgres_server")
    with ExitStack() as held:
        yield lambda _: held.enter_context(fresh_database(server))


def test_a_process_killed_at_any_point_of_the_first_start_is_followed_by_one_that_starts(new_url, record_property):
    tables = sorted([*schema.metadata.tables, migrations.VERSION_TABLE])
    at = 0
    while True:
        at += 1
        url = new_url(at)
        first = upgraded(url, at)
        second = first if first.killed is None else upgraded(url)
        assert second.error is None, f"killed at {first.killed}: {second.error}"
        assert second.outputs == {"version": migrations.HEAD, "tables": tables}, first.killed
        if first.killed is None:
            break
    record_property("crash", f"first start: {at - 1} points, 0 violations")
    assert at > 1
