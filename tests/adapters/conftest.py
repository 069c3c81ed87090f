"""Fixtures of the saver's tests: one migrated database of each kind a session, a namespace of its own a test."""

from __future__ import annotations

import uuid

import pytest

from durable import Runtime
from durable.adapters.langgraph.saver import DurableSaver
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
