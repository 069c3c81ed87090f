"""The database: durable commits, one consistent view to read, waits that end, and errors of our own."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import event, insert, text

from durable.checkpoint import schema
from durable.checkpoint.database import JOURNAL_THREADS, Database
from durable.checkpoint.records import NewRecord
from durable.errors import DatabaseBusy, DatabaseUnavailable, InvalidConfiguration, StorageError
from tests.world import until

NOTE = NewRecord("note")
BLOB = {"digest": "d", "data": b"x", "created_at": 1.0}

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
connection.close()
"""

END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND datname = current_database()
"""


def put(connection):
    return connection.execute(insert(schema.blobs), BLOB)


def count(store):
    with store.db.read() as connection:
        return connection.execute(text("SELECT count(*) FROM blobs")).scalar()


class TestSqlite:
    @pytest.fixture
    def db(self, migrated_sqlite_url):
        database = Database(migrated_sqlite_url)
        yield database
        database.close()

    @pytest.mark.parametrize(
        ("pragma", "value"),
        [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("journal_size_limit", 67108864)],
    )
    def test_every_connection_is_set_up_to_survive_power_loss(self, db, pragma, value):
        with db.read() as first, db.read() as second:
            for connection in (first, second):
                assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value

    @pytest.mark.parametrize(("name", "value"), [("FULL", 2), ("normal", 1), ("EXTRA", 3)])
    def test_the_risk_of_losing_steps_is_taken_by_name(self, migrated_sqlite_url, name, value):
        database = Database(migrated_sqlite_url, synchronous=name)
        with database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == value
        database.close()

    def test_and_not_by_any_other_name(self, migrated_sqlite_url):
        with pytest.raises(InvalidConfiguration, match="NORMAL.*power loss"):
            Database(migrated_sqlite_url, synchronous="OFF")

    def test_a_write_takes_the_lock_at_its_begin_and_a_read_does_not(self, db):
        said = []
        event.listen(db.engine, "connect", lambda connection, _: connection.set_trace_callback(said.append))
        with db.write(), db.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM blobs")).scalar() == 0
        assert [line for line in said if line.startswith("BEGIN")] == ["BEGIN IMMEDIATE", "BEGIN"]

    def test_a_lock_that_another_process_holds_is_waited_for(self, db):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, db.url.database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert holder.stdout.readline() == "held\n"
            done = []
            thread = threading.Thread(target=lambda: done.append(db.transact(put)))
            thread.start()
            with db.read() as connection:
                assert connection.execute(text("SELECT count(*) FROM blobs")).scalar() == 0
            assert done == []
            holder.stdin.write("\n")
            holder.stdin.flush()
            thread.join(30)
            assert len(done) == 1
        finally:
            holder.communicate("\n", timeout=20)

    def test_a_lock_that_is_never_given_back_is_named_in_the_end(self, migrated_sqlite_url):
        holder, waiting = Database(migrated_sqlite_url), Database(migrated_sqlite_url, timeout=0.2)
        try:
            with holder.write():
                began = time.monotonic()
                with pytest.raises(DatabaseBusy, match="(?s)durable.db.*locked.*try again"):
                    waiting.transact(put)
                assert time.monotonic() - began < 10
            waiting.transact(put)
        finally:
            holder.close()
            waiting.close()

    def test_a_thread_that_keeps_the_lock_is_named_in_the_end_too(self, migrated_sqlite_url):
        database = Database(migrated_sqlite_url, timeout=0.2)
        found = []

        def write():
            try:
                database.transact(put)
            except StorageError as exc:
                found.append(exc)

        with database.write():
            thread = threading.Thread(target=write)
            thread.start()
            thread.join(30)
        assert [type(error) for error in found] == [DatabaseBusy]
        database.close()


class TestPostgres:
    @pytest.fixture
    def db(self, migrated_postgres_url):
        database = Database(migrated_postgres_url, timeout=1.0)
        yield database
        database.close()

    def test_a_wait_for_the_server_ends_in_the_client(self, db):
        began = time.monotonic()
        with (
            pytest.raises(DatabaseUnavailable, match="no answer from the server within 1.0 s"),
            db.read() as connection,
        ):
            connection.execute(text("SELECT pg_sleep(20)"))
        assert time.monotonic() - began < 10
        with db.read() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1

    def test_a_lock_that_is_never_given_back_ends_the_wait_too(self, db, migrated_postgres_url):
        holder = Database(migrated_postgres_url)
        holder.transact(put)
        with holder.write() as connection:
            connection.execute(text("SELECT * FROM blobs FOR UPDATE"))
            with pytest.raises(DatabaseUnavailable, match="no answer"):
                db.transact(lambda c: c.execute(text("UPDATE blobs SET created_at = 2")))
        db.transact(lambda c: c.execute(text("UPDATE blobs SET created_at = 3")))
        holder.close()

    def test_connections_the_server_has_ended_are_replaced(self, db):
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable, match="terminating connection"), db.read() as connection:
                with db.read() as beside:
                    beside.execute(text(END_OTHERS))
                connection.execute(text("SELECT 1"))
            with db.read() as connection:
                assert connection.execute(text("SELECT 1")).scalar() == 1

    def test_two_that_lock_each_other_out_both_get_through(self, migrated_postgres_url):
        database = Database(migrated_postgres_url)
        for digest in "ab":
            database.transact(lambda c, d=digest: c.execute(insert(schema.blobs), {**BLOB, "digest": d}))
        meet, met = threading.Barrier(2), []
        one_more = text("UPDATE blobs SET created_at = created_at + 1 WHERE digest = :d")

        def change(first, second):
            def both(connection):
                for digest in (first, second):
                    connection.execute(one_more, {"d": digest})
                    if digest == first and len(met) < 2:
                        met.append(first)
                        meet.wait(20)

            return lambda: database.transact(both)

        threads = [threading.Thread(target=change(*pair)) for pair in ("ab", "ba")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        with database.read() as connection:
            assert list(connection.execute(text("SELECT created_at FROM blobs")).scalars()) == [3.0, 3.0]
        database.close()

    def test_more_threads_than_connections_are_named_and_not_waited_for_without_end(self, db):
        db.engine.pool._timeout = 0.2
        with_all = [db.engine.connect() for _ in range(8 + JOURNAL_THREADS)]
        with pytest.raises(DatabaseUnavailable, match="in use"), db.read():
            pass
        for connection in with_all:
            connection.close()

    def test_a_url_without_a_driver_gets_ours(self, migrated_postgres_url):
        database = Database(migrated_postgres_url.replace("+psycopg", ""))
        with database.read() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        database.close()


class TestTransactions:
    def test_what_raises_in_the_block_is_rolled_back_and_raised_as_it_is(self, store):
        for way in (store.db.write, store.db.write_again):
            with pytest.raises(ZeroDivisionError), way() as connection:
                put(connection)
                1 / 0  # noqa: B018 - it raises
        assert count(store) == 0

    def test_a_read_sees_one_state(self, store):
        with store.db.read() as connection:
            before = connection.execute(text("SELECT count(*) FROM blobs")).scalar()
            store.process().db.transact(put)
            if store.db.is_sqlite:
                assert connection.execute(text("SELECT count(*) FROM blobs")).scalar() == before
        assert count(store) == before + 1

    def test_a_change_that_meets_another_writer_runs_again(self, store):
        runs = []

        def change(connection):
            runs.append(1)
            if len(runs) < 3:
                raise DatabaseBusy
            put(connection)

        store.db.transact(change)
        assert (len(runs), count(store)) == (3, 1)

    def test_a_row_that_is_there_is_left_as_it_is_and_the_count_says_so(self, store):
        statement = store.db.insert_or_ignore(schema.blobs)
        counts = [
            store.db.transact(lambda c, data=data: c.execute(statement, {**BLOB, "data": data}).rowcount)
            for data in (b"first", b"second")
        ]
        assert counts == [1, 0]
        with store.db.read() as connection:
            assert bytes(connection.execute(text("SELECT data FROM blobs")).scalar()) == b"first"


class TestClock:
    def test_it_is_the_databases_and_goes_on_between_two_looks(self, store):
        first = store.db.clock()
        asked = []
        event.listen(store.db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        second = until(lambda: store.db.clock() if store.db.clock() > first else None)
        assert (asked, second > first) == ([], True)
        with store.db.read() as connection:
            assert store.db.sync_clock(connection) == pytest.approx(time.time(), abs=60)

    def test_days_pass_by_an_offset(self, store):
        assert store.process(clock_offset=86400.0).db.clock() == pytest.approx(store.db.clock() + 86400, abs=5)


class TestThreads:
    def test_context_variables_go_along_and_the_loop_goes_on(self, store):
        variable = contextvars.ContextVar("v")
        rounds = []

        async def main():
            variable.set("set")
            loop = asyncio.get_running_loop()

            async def note():
                rounds.append(1)

            def block():
                asyncio.run_coroutine_threadsafe(note(), loop).result(20)
                return variable.get(), threading.current_thread().name

            return await store.db.on_journal_thread(block)

        value, name = asyncio.run(main())
        assert (value, rounds) == ("set", [1])
        assert name.startswith("durable-journal")

    def test_what_is_surely_done_is_done_before_its_caller_learns_of_the_cancellation(self, store):
        begun, go_on, done = threading.Event(), threading.Event(), []

        def work():
            begun.set()
            go_on.wait(20)
            done.append(1)

        async def main():
            task = asyncio.ensure_future(store.db.surely_on_journal_thread(work))
            await store.db.on_journal_thread(begun.wait, 20)
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert done == [1]

        asyncio.run(main())

    def test_an_error_of_the_call_is_raised_in_the_coroutine(self, store):
        async def main():
            for way in (store.db.on_journal_thread, store.db.surely_on_journal_thread):
                with pytest.raises(KeyError):
                    await way(lambda: {}["missing"])

        asyncio.run(main())


def test_a_writer_whose_connection_was_ended_takes_another_one(store, claimed):
    claimed.append(NOTE)
    if store.db.is_sqlite:
        store.db._kept.invalidate()
    else:
        with store.process().db.read() as connection:
            connection.execute(text(END_OTHERS))
    claimed.append(NOTE)
    assert store.verify()[0] == 4
