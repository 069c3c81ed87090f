"""The schema is what all migrations make of an empty database, whoever runs them, however many at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from durable.checkpoint import migrations, schema
from durable.checkpoint.database import Database
from durable.errors import SchemaTooNew

ROOT = Path(__file__).parent.parent.parent
VERSION = migrations.VERSION_TABLE

UPGRADE = """
import sys
from durable.checkpoint import migrations
from durable.checkpoint.database import Database
db = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrations.upgrade(db)
print(migrations.current(db), "alembic" in sys.modules)
db.close()
"""

CATALOGUE = (
    """SELECT table_name, column_name, data_type, collation_name, character_maximum_length, is_nullable, column_default
       FROM information_schema.columns WHERE table_schema = 'public' AND table_name != :v""",
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename != :v",
    """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
       WHERE conrelid != CAST(:v AS regclass) AND connamespace = CAST('public' AS regnamespace)""",
)


@pytest.fixture
def db(database_url):
    database = Database(database_url)
    yield database
    database.close()


def described(db):
    """Everything the database says of its tables, columns, keys and indexes, except the version's table."""
    with db.read() as connection:
        if db.is_sqlite:
            query = "SELECT name, sql FROM sqlite_master WHERE name != :v AND sql IS NOT NULL"
            return {name: " ".join(sql.split()) for name, sql in connection.execute(text(query), {"v": VERSION})}
        return {tuple(row) for query in CATALOGUE for row in connection.execute(text(query), {"v": VERSION})}


def test_all_migrations_together_make_the_schema(db):
    migrations.upgrade(db)
    assert migrations.current(db) == migrations.HEAD
    options = {"compare_type": True, "compare_server_default": True, "version_table": VERSION}
    with db.write() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata) == []


def test_migrated_tables_are_exactly_those_made_from_the_schema(db):
    migrations.upgrade(db)
    migrated = described(db)
    schema.metadata.drop_all(db.engine)
    schema.metadata.create_all(db.engine)
    assert migrated == described(db)


def test_the_partial_unique_index_of_open_threads_is_there(db):
    migrations.upgrade(db)
    (index,) = (i for i in inspect(db.engine).get_indexes("executions") if i["name"] == "uq_executions_open_thread")
    assert index["unique"]
    (where,) = (value for key, value in index["dialect_options"].items() if key.endswith("_where"))
    assert "thread IS NOT NULL" in str(where)


def test_the_known_versions_are_those_of_the_scripts():
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(migrations.KNOWN)


def test_an_empty_database_has_no_version(db):
    assert migrations.current(db) is None


def test_six_processes_upgrade_at_once_and_all_succeed(database_url):
    command = [sys.executable, "-W", "error", "-c", UPGRADE, database_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(6)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in processes]
    assert [error for _, error in ended] == [""] * 6
    assert {output.split()[0] for output, _ in ended} == {migrations.HEAD}


def test_a_second_process_does_not_load_alembic(db, database_url):
    migrations.upgrade(db)
    command = [sys.executable, "-c", UPGRADE, database_url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, input="go\n", check=True)
    assert done.stdout.split() == ["ready", migrations.HEAD, "False"]


def test_a_newer_schema_is_refused_with_both_versions_and_the_remedy(db):
    migrations.upgrade(db)
    with db.write() as connection:
        connection.execute(text("UPDATE durable_schema SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match=rf"9999.*{migrations.HEAD}.*upgrade durable-adapters here"):
        migrations.upgrade(db)
    assert migrations.current(db) == "9999"


def test_an_upgrade_keeps_rows(db):
    migrations.upgrade(db)
    row = {"digest": "d" * 64, "data": b"\x00kept", "created_at": 1.5}
    with db.write() as connection:
        connection.execute(schema.blobs.insert(), row)
    migrations.upgrade(db)
    with db.read() as connection:
        assert connection.execute(select(schema.blobs)).mappings().all() == [row]


def test_a_database_of_the_first_version_is_brought_up_to_date_and_keeps_its_rows(db, monkeypatch):
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "KNOWN", ("0001",))
        earlier.setattr(migrations, "HEAD", "0001")
        migrations.upgrade(db)
    assert "session_heads" not in inspect(db.engine).get_table_names()
    row = {"digest": "d" * 64, "data": b"kept", "created_at": 1.5}
    with db.write() as connection:
        connection.execute(schema.blobs.insert(), row)
        connection.execute(text("CREATE TABLE sessions (id INTEGER)"))  # as frameworks call theirs
    migrations.upgrade(db)
    assert migrations.current(db) == migrations.HEAD
    with db.read() as connection:
        assert connection.execute(select(schema.blobs)).mappings().all() == [row]
        assert connection.execute(select(schema.session_heads)).all() == []


def test_an_upgrade_that_fails_leaves_nothing_behind(db):
    """The last table of the first version is there already, with other columns: nothing of the version stays."""
    with db.write() as connection:
        connection.execute(text("CREATE TABLE snapshot_pieces (x INTEGER)"))
    with pytest.raises(Exception, match="snapshot_pieces"):
        migrations.upgrade(db)
    assert inspect(db.engine).get_table_names() == ["snapshot_pieces"]
    assert migrations.current(db) is None
