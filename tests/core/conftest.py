"""Fixtures of the core's tests: a world, its first process, and each function as plain code and as a coroutine.

The databases come with their schema.
"""

from __future__ import annotations

import pytest

from tests.templates import *  # noqa: F403 - fixtures
from tests.world import Flavour, World


@pytest.fixture
def sqlite_url(migrated_sqlite_url):
    return migrated_sqlite_url


@pytest.fixture
def postgres_url(migrated_postgres_url):
    return migrated_postgres_url


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
