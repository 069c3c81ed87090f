"""A pytest plugin for the SDK's own session tests: wherever a test makes a ``SQLiteSession`` it gets a ``DurableSession``.

Only the class is swapped: each path is a database of ours, "in memory" is one of its own. Each item that was written is counted in
``$DURABLE_CONFORMANCE_REPORT``, beside the outcomes of the tests.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from reporting import told

from durable import Runtime
from durable.adapters.openai_agents import DurableSession

FOLDER = Path(tempfile.mkdtemp())
TEMPLATE = FOLDER / "template.db"
Runtime(f"sqlite:///{TEMPLATE}").close()


class Swapped(DurableSession):
    """A DurableSession that is made as a SQLiteSession is."""

    def __init__(self, session_id, db_path=":memory:", *_tables, session_settings=None):
        path = Path(tempfile.mkdtemp(dir=FOLDER), "durable.db") if db_path == ":memory:" else Path(f"{db_path}.durable")
        if not path.exists():
            shutil.copy(TEMPLATE, path)
        super().__init__(session_id, Runtime(f"sqlite:///{path}"), session_settings=session_settings)

    async def add_items(self, items):
        await super().add_items(items)
        told(items=len(items))

    def close(self):
        self._runtime.close()


def pytest_collection_modifyitems(items):
    for module in {item.module for item in items}:  # not in the SDK itself, which knows its own class by isinstance
        if hasattr(module, "SQLiteSession"):
            module.SQLiteSession = Swapped


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    shutil.rmtree(FOLDER, ignore_errors=True)
