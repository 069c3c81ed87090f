"""A database that cannot be used gets an error that names it and says what to do; what was recorded stays."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event, make_url, text

from durable import Decision, Runtime, ask, step, tool
from durable.checkpoint import migrations
from durable.checkpoint.database import Database
from durable.errors import (
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    InvalidConfiguration,
    NotADatabase,
    SchemaTooNew,
)
from tests.world import DAY, intact

BAD_URLS = {
    "memory": ("sqlite://", "give it a file"),
    "memory by name": ("sqlite:///:memory:", "give it a file"),
    "memory by uri": ("sqlite:///file:shared?mode=memory&cache=shared&uri=true", "give it a file"),
    "mysql": ("mysql://user@host/database", "mysql.* is not supported; use sqlite:///"),
    "mariadb": ("mariadb+pymysql://user@host/database", "is not supported; use sqlite:///"),
    "an async driver": (
        "postgresql+asyncpg://user@host/database",
        "use sqlite:///file.db or postgresql://|not installed",
    ),
    "an unknown one": ("redis://localhost", "is not a database url; use sqlite:///"),
    "a path": ("durable.db", "is not a database url; use sqlite:///"),
    "nothing": (" ", "is not a database url; use sqlite:///"),
}


@pytest.mark.parametrize("name", BAD_URLS)
def test_a_url_that_cannot_be_used_is_refused_with_one_that_can(name):
    url, remedy = BAD_URLS[name]
    with pytest.raises(InvalidConfiguration, match=remedy):
        Runtime(url)


def define(runtime):
    """An app that does one step, asks, and does another step."""

    @tool
    def act(what):
        return what

    @runtime.function("app")
    def app():
        return [act("first"), ask("go on?"), act("second")]

    return runtime


def recorded(url):
    """A database with an execution that waits; its journal."""
    with define(Runtime(url)) as runtime:
        runtime.run("app", id="a")
        return runtime.get("a").history()


def still_there(url, known):
    """What was recorded is there and intact, and the execution goes on to its end."""
    with define(Runtime(url)) as runtime:
        assert runtime.get("a").history()[: len(known)] == known
        intact(runtime.get("a"))
        runtime.decide(runtime.interrupts()[0].id, Decision.respond("yes"), by="alice")
        assert runtime.run("app", id="a").output == ["first", "yes", "second"]
        intact(runtime.get("a"))


@pytest.mark.parametrize(
    "content", [b"Dear diary, " * 1000, b"Dear diary", b"\0" * 4096], ids=["text", "a word", "zeros"]
)
def test_a_file_that_is_no_database_is_named_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "diary.txt"
    path.write_bytes(content)
    with pytest.raises(NotADatabase, match=r"diary\.txt.*point the url at another file"):
        Runtime(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(DatabaseUnavailable, match=r"missing/durable\.db.*unable to open"):
        Runtime(f"sqlite:///{tmp_path / 'missing' / 'durable.db'}")


def test_a_database_that_may_only_be_read_can_be_read_and_refuses_to_record(sqlite_url):
    known = recorded(sqlite_url)
    path = make_url(sqlite_url).database
    keeper = sqlite3.connect(path)  # as long as somebody has it open, its journal files are there
    keeper.execute("SELECT count(*) FROM executions").fetchall()
    with define(Runtime(f"sqlite:///file:{path}?mode=ro&uri=true")) as runtime:
        assert runtime.get("a").history() == known
        asked = runtime.interrupts()[0]
        for write in (
            lambda: runtime.start("app", id="b"),
            lambda: runtime.run("app", id="a"),
            lambda: runtime.get("a").signal("go"),
            lambda: runtime.get("a").cancel("enough"),
            lambda: runtime.decide(asked.id, Decision.respond("yes"), by="alice"),
        ):
            with pytest.raises(DatabaseReadOnly, match="check the permissions of the file and of its folder"):
                write()
    keeper.close()
    still_there(sqlite_url, known)


def test_a_new_database_that_may_only_be_read_is_refused_at_once(tmp_path):
    path = tmp_path / "durable.db"
    sqlite3.connect(path).execute("CREATE TABLE other (id)").connection.close()
    with pytest.raises(DatabaseReadOnly, match="check the permissions"):
        Runtime(f"sqlite:///file:{path}?mode=ro&uri=true")


def test_a_server_that_lets_nobody_write_is_read_only(postgres_url):
    known = recorded(postgres_url)
    url = make_url(postgres_url).update_query_dict({"options": "-c default_transaction_read_only=on"})
    with define(Runtime(url.render_as_string(hide_password=False))) as runtime:
        assert runtime.get("a").history() == known
        with pytest.raises(DatabaseReadOnly, match="check the permissions"):
            runtime.start("app", id="b")
    still_there(postgres_url, known)


class Disk:
    """The room that a SQLite database has: as much as it takes now, until it is freed."""

    def __init__(self, url):
        self.is_full = False
        self.database = Database(url)
        event.listen(self.database.engine, "begin", self._measure)

    def _measure(self, connection):
        limit = 1 if self.is_full else 1_000_000_000  # it never shrinks below what it has
        connection.exec_driver_sql(f"PRAGMA max_page_count = {limit}")


def test_a_full_disk_refuses_what_does_not_fit_and_keeps_what_was_recorded(sqlite_url):
    known = recorded(sqlite_url)
    disk = Disk(sqlite_url)
    with define(Runtime(database=disk.database)) as runtime:
        disk.is_full = True
        with pytest.raises(DatabaseFull, match="free some and retry, nothing recorded was lost"):
            runtime.start("app", {"large": "x" * 1_000_000}, id="b")
        assert [execution.id for execution in runtime.executions()] == ["a"]
        assert runtime.get("a").history() == known
        disk.is_full = False
        runtime.start("app", {"large": "x" * 1_000_000}, id="b")
        assert len(runtime.executions()) == 2
        runtime.get("b").cancel()
    still_there(sqlite_url, known)


def test_a_disk_that_is_full_when_a_result_comes_leaves_the_call_in_doubt_and_nothing_is_lost(sqlite_url):
    disk, done = Disk(sqlite_url), []

    def define_large(runtime):
        @tool
        def act():
            done.append("acted")
            disk.is_full = True
            return "x" * 1_000_000

        runtime.function("app")(lambda: [step(len, "four"), len(act())])
        return runtime

    with define_large(Runtime(database=disk.database)) as runtime:
        with pytest.raises(DatabaseFull, match="free some and retry"):
            runtime.run("app", id="a")
        known = runtime.get("a").history()
    assert ("step_done", "len#1") in [(record.kind, record.step_key) for record in known]
    with define_large(Runtime(database=Database(sqlite_url, clock_offset=DAY))) as later:
        (doubt,) = later.run("app", id="a").interrupts
        assert doubt.kind == "in_doubt"
        later.decide(doubt.id, Decision.happened("four more"), by="alice")
        assert later.run("app", id="a").output == [4, 9]
        assert later.get("a").history()[: len(known)] == known
        intact(later.get("a"))
    assert done == ["acted"]


def test_a_server_that_does_not_answer_is_named_without_its_password(sqlite_url):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]  # bound and not listening: nobody answers
        url = f"postgresql://alice:secret@127.0.0.1:{port}/durable"
        with pytest.raises(
            DatabaseUnavailable, match=f"(?s)alice:.*@127.0.0.1:{port}/durable.*connection failed"
        ) as refused:
            Runtime(database=Database(url, timeout=2))
    assert "secret" not in str(refused.value)


def test_a_database_of_the_server_that_does_not_exist_is_named(postgres_url):
    url = make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(DatabaseUnavailable, match='"nowhere" does not exist'):
        Runtime(database=Database(url, timeout=2))


def test_a_schema_newer_than_the_code_is_refused_and_left_as_it_is(database_url):
    known = recorded(database_url)
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(text("UPDATE durable_schema SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match=re.escape("version 9999") + ".*pip install -U durable-adapters"):
        Runtime(database_url)
    with database.write() as connection:
        found = connection.execute(text("SELECT version_num FROM durable_schema")).scalar()
        assert found == "9999"
        connection.execute(text("UPDATE durable_schema SET version_num = :known"), {"known": migrations.HEAD})
    database.close()
    still_there(database_url, known)


def test_a_database_that_was_cut_short_is_refused_by_name(sqlite_url, tmp_path):
    recorded(sqlite_url)
    path = Path(shutil.copy(make_url(sqlite_url).database, tmp_path / "short.db"))
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(NotADatabase, match=r"short\.db.*malformed"):
        Runtime(f"sqlite:///{path}").executions()
