"""Fixtures of every test: a database of its own, on SQLite and on PostgreSQL; no key, no url from outside."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.postgres import fresh_database, new_root, start, stop

ROOT = "DURABLE_TEST_ROOT"
"""Environment variable: the folder shared by the processes of one session, its workers and its children."""


MEMORY = Path("/dev/shm")
ENOUGH = 2 * 2**30
"""Bytes that must be free in memory for the databases of the tests to live there."""


def in_memory():
    """Databases of tests lie in memory where there is room: each commit is still an fsync, which then costs nothing."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


def pytest_addoption(parser):
    """``make crash``; see tests/crash/conftest.py."""
    parser.addoption("--every-point", action="store_true", help="tests/crash: kill at every point, not at every kind")


def pytest_configure(config):
    """The first process of a session owns the shared folder and, at its end, the server that may run in it."""
    in_memory()
    for name in ("DURABLE_URL", "OPENAI_API_KEY", "GOOGLE_API_KEY", "LANGSMITH_API_KEY"):
        os.environ.pop(name, None)
    os.environ |= {"LANGSMITH_TRACING": "false", "OPENAI_AGENTS_DISABLE_TRACING": "1"}
    if ROOT not in os.environ:
        root = new_root()
        os.environ[ROOT] = str(root)
        config.add_cleanup(lambda: _end(root))


def _end(root):
    os.environ.pop(ROOT)
    stop(root)


@pytest.fixture(scope="session")
def postgres_server():
    """The url of the session's one PostgreSQL server, started by the first test that asks for it."""
    return start(Path(os.environ[ROOT]))


@pytest.fixture
def sqlite_url(tmp_path):
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'durable.db'}"


@pytest.fixture
def postgres_url(postgres_server):
    """An empty PostgreSQL database, dropped at the end of the test."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request):
    """Each test that asks for it runs twice: on a new SQLite file, and in an empty PostgreSQL database."""
    return request.getfixturevalue(f"{request.param}_url")
