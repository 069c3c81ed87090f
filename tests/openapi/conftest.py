"""Fixtures of the OpenAPI tests: a server of the test's own, and tools that may reach it."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable import Runtime
from durable.openapi import api_tools
from tests.openapi.server import Api

DOCUMENTS = Path(__file__).parent / "documents"


@pytest.fixture
def api():
    made = Api()
    yield made
    made.close()


@pytest.fixture
def tools(api):
    """The tools of a document by name, for the test's server."""

    def load(document, **options):
        options = {"base_url": api.url, "private_hosts": ["127.0.0.1"], **options}
        there = isinstance(document, str) and (DOCUMENTS / document).is_file()
        source = DOCUMENTS / document if there else document
        return {tool.__name__: tool for tool in api_tools(source, **options)}

    return load


@pytest.fixture
def runtime(sqlite_url):
    with Runtime(sqlite_url) as made:
        yield made
