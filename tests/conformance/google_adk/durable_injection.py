"""A pytest plugin for ADK's own tests: each runner that a test makes is one that came from ``durable_runner``.

A session service in memory stands for a store: in its place a test gets a DurableSessionService on a runtime of its own,
on a fresh SQLite file. A runner on such a store is given what ``durable_runner`` makes of its app. What ADK itself makes
inside of an execution (the runner of an AgentTool) is left alone.
"""

from __future__ import annotations

import asyncio
import functools
import shutil
import tempfile
import threading
from pathlib import Path

import google.adk.sessions as adk_sessions
import pytest
from google.adk.runners import Runner
from google.adk.sessions import in_memory_session_service
from reporting import told

from durable import Runtime
from durable.adapters.google_adk import DurableSessionService, durable_runner
from durable.adapters.google_adk.entry.runner import DurableRunner
from durable.live.scope import scope

FOLDER = Path(tempfile.mkdtemp())
TEMPLATE = FOLDER / "template.db"
Runtime(f"sqlite:///{TEMPLATE}").close()
SERVICES = ("artifact_service", "memory_service", "credential_service", "auto_create_session")

Bare = in_memory_session_service.InMemorySessionService
_runtimes: list[Runtime] = []


class Swapped(DurableSessionService):
    """A DurableSessionService that is made as ADK's service in memory is, with its synchronous calls."""

    def __new__(cls, *_):
        return Bare() if scope() is not None else super().__new__(cls)

    def __init__(self):
        path = Path(tempfile.mkdtemp(dir=FOLDER), "durable.db")
        shutil.copy(TEMPLATE, path)
        super().__init__(Runtime(f"sqlite:///{path}"))
        _runtimes.append(self._runtime)

    def create_session_sync(self, **options):
        return apart(self.create_session(**options))

    def get_session_sync(self, **options):
        return apart(self.get_session(**options))

    def list_sessions_sync(self, **options):
        return apart(self.list_sessions(**options))

    def delete_session_sync(self, **options):
        return apart(self.delete_session(**options))


def apart(call):
    """Wait for it on a thread of its own: the caller may be inside of an event loop."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(asyncio.run(call)))
    thread.start()
    thread.join()
    return outcome[0]


for module in (in_memory_session_service, adk_sessions):
    module.InMemorySessionService = Swapped


def durably(init):
    @functools.wraps(init)
    def made(self, *args, **options):
        init(self, *args, **options)
        if isinstance(self, DurableRunner) or not isinstance(self.session_service, Swapped):
            return
        app = self.app.model_copy(update={"name": self.app_name})
        services = {name: getattr(self, name) for name in SERVICES if getattr(self, name) is not None}
        durable = durable_runner(app, self.session_service._runtime, **services)
        self.__dict__.update(durable.__dict__ | {"session_service": self.session_service})
        self.__class__ = type(f"Durable{type(self).__name__}", (DurableRunner, type(self)), {})

    return made


@pytest.fixture(autouse=True)
def _durable(request, monkeypatch):
    monkeypatch.setattr(Runner, "__init__", durably(Runner.__init__))
    yield
    executions = 0
    while _runtimes:
        runtime = _runtimes.pop()
        executions += len(runtime.executions(limit=10_000))
        runtime.close()
    told(test=request.node.nodeid, executions=executions)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    shutil.rmtree(FOLDER, ignore_errors=True)
