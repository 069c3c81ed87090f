"""Databases that come with their schema: copies of one that was migrated, made once a process. Fixtures; import to use."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import make_url

from durable.checkpoint import migrations
from durable.checkpoint.database import Database
from tests.postgres import fresh_database


def _migrate(url):
    database = Database(url)
    migrations.upgrade(database)
    database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "durable.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server):
    with fresh_database(postgres_server) as url:
        _migrate(url)
        yield make_url(url).database


@pytest.fixture
def migrated_sqlite_url(sqlite_template, tmp_path):
    shutil.copy(sqlite_template, tmp_path / "durable.db")
    return f"sqlite:///{tmp_path / 'durable.db'}"


@pytest.fixture
def migrated_postgres_url(postgres_server, postgres_template):
    with fresh_database(postgres_server, template=postgres_template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request):
    """Each test that asks for it runs twice: on SQLite, and on PostgreSQL."""
    return request.getfixturevalue(f"migrated_{request.param}_url")


__all__ = [
    "migrated_postgres_url",
    "migrated_sqlite_url",
    "migrated_url",
    "postgres_template",
    "sqlite_template",
]
