"""Fixtures of the adapters' tests: databases that are migrated once a session, and a namespace or a copy of its own a test."""

from __future__ import annotations

import shutil
import uuid

import pytest

from durable import Runtime
from durable.adapters.langgraph.state.saver import DurableSaver
from tests.adapters.langgraph_world import Ledger
from tests.postgres import fresh_database


@pytest.fixture(scope="session")
def saver_sqlite_url(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('savers') / 'durable.db'}"


@pytest.fixture(scope="session")
def saver_postgres_url(postgres_server):
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def saver_runtime(request):
    url = request.getfixturevalue(f"saver_{request.param}_url")
    with Runtime(url, namespace=f"test-{uuid.uuid4().hex}") as runtime:
        yield runtime


@pytest.fixture
def saver(saver_runtime):
    return DurableSaver(saver_runtime)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "durable.db"
    Runtime(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_url(tmp_path, migrated_sqlite):
    """A SQLite file of its own, migrated already: a process that is killed is a short one."""
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'durable.db')}"


@pytest.fixture
def runtime(sqlite_url):
    with Runtime(sqlite_url) as runtime:
        yield runtime


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")
