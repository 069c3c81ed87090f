"""Fixtures of the core's tests: a world, its first process, and each function as plain code and as a coroutine.

The databases come with their schema, as copies of one that was migrated.
"""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import make_url

from durable.checkpoint import migrations
from durable.checkpoint.database import Database
from tests.postgres import fresh_database
from tests.world import Flavour, World


def migrated(url):
    database = Database(url)
    migrations.upgrade(database)
    database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "durable.db"
    migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server):
    with fresh_database(postgres_server) as url:
        migrated(url)
        yield make_url(url).database


@pytest.fixture
def sqlite_url(sqlite_template, tmp_path):
    shutil.copy(sqlite_template, tmp_path / "durable.db")
    return f"sqlite:///{tmp_path / 'durable.db'}"


@pytest.fixture
def postgres_url(postgres_server, postgres_template):
    with fresh_database(postgres_server, template=postgres_template) as url:
        yield url


@pytest.fixture
def world(database_url):
    made = World(database_url)
    yield made
    made.close()


@pytest.fixture
def runtime(world):
    return world.process()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def flavour(request):
    return Flavour(is_async=request.param)
