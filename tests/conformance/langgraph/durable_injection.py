"""A pytest plugin for LangGraph's own tests: each graph that a test uses is one that went through ``durable_graph``.

A graph is wrapped when the test first uses it, and again when the test has changed it. Each saver stands for a store, so
each has a runtime of its own on a fresh SQLite file: a saver in memory is replaced by the adapter, so what a test asks of it by
hand is asked of the one in its place; where a test has its parameter ``sqlite`` it is given a DurableSaver. Graphs without
a saver share the test's own runtime.
"""

from __future__ import annotations

import copy
import functools
import inspect
import shutil
import threading
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakKeyDictionary, WeakSet

import pytest
from langgraph._internal._config import ensure_config
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel import Pregel
from reporting import told

from durable import Runtime
from durable.adapters.langgraph import DurableSaver, durable_graph
from durable.adapters.langgraph.entry.graph import DurableGraph
from durable.adapters.langgraph.entry.graphs import hook_graphs
from durable.adapters.langgraph.state import keys

ENTRIES = (
    *("invoke", "ainvoke", "stream", "astream", "stream_events", "astream_events"),
    *("get_state", "aget_state", "get_state_history", "aget_state_history"),
    *("update_state", "aupdate_state", "bulk_update_state", "abulk_update_state"),
    *("get_graph", "aget_graph", "get_subgraphs", "aget_subgraphs", "clear_cache", "aclear_cache"),
)
ASKED = (
    *("get_tuple", "aget_tuple", "list", "alist", "put", "aput", "put_writes", "aput_writes"),
    *("delete_thread", "adelete_thread"),
)
hook_graphs()  # for the whole process: what a test's own patches put away must not be this
_now: Injected | None = None


class Injected:
    """The runtimes and the wrapped graphs of one test."""

    def __init__(self, folder, template):
        self.folder, self.template = folder, template
        self.runtimes, self.savers = {}, []
        self.wrapped, self.copies = WeakKeyDictionary(), WeakSet()
        self.lock = threading.RLock()  # a batch comes in many threads

    def runtime(self, saver):
        self.savers.append(saver)  # so that no other one gets its id
        key = None if saver is None or isinstance(saver, bool) else id(saver)
        if key not in self.runtimes:
            path = self.folder / f"durable-{len(self.runtimes)}.db"
            shutil.copy(self.template, path)
            self.runtimes[key] = Runtime(f"sqlite:///{path}")
        return self.runtimes[key]

    def durable(self, graph):
        attributes, wrapped = self.wrapped.get(graph, (None, None))
        if attributes is None or not same(attributes, graph.__dict__):
            saver = graph.checkpointer
            runtime = saver._runtime if isinstance(saver, DurableSaver) else self.runtime(saver)
            given = copy.copy(graph)  # what is wrapped stays bare, also where ours asks it
            self.copies.add(given)
            attributes, wrapped = dict(graph.__dict__), durable_graph(given, runtime)
            self.wrapped[graph] = attributes, wrapped
        return wrapped

    def close(self):
        executions = 0
        for runtime in self.runtimes.values():
            executions += len(runtime.executions(limit=10_000))
            runtime.close()
        return executions


def same(before, now):
    return before.keys() == now.keys() and all(before[name] is now[name] for name in before)


def routed(name):
    bare = getattr(Pregel, name)
    parameters = inspect.signature(bare)

    @functools.wraps(bare)
    def entry(self, *args, **options):
        config = parameters.bind_partial(self, *args, **options).arguments.get("config")
        around = keys.configurable(ensure_config(self.config, config))
        part_of_another = keys.SEGMENT in around or keys.CHECKPOINTER in around
        if _now is None or part_of_another or self in _now.copies or isinstance(self, DurableGraph):
            return bare(self, *args, **options)
        with _now.lock:
            durable = _now.durable(self)
        return getattr(durable, name)(*args, **options)

    return entry


def asked(name):
    """What is asked of a saver in memory is asked of the DurableSaver that stands in its place."""

    @functools.wraps(getattr(InMemorySaver, name))
    def entry(self, *args, **options):
        with _now.lock:
            runtime = _now.runtime(self)
        return getattr(DurableSaver(runtime), name)(*args, **options)

    return entry


@pytest.fixture(scope="session")
def database_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("conformance") / "template.db"
    Runtime(f"sqlite:///{path}").close()
    return path


@pytest.fixture(autouse=True)
def _durable(request, tmp_path_factory, database_template, monkeypatch):
    global _now  # noqa: PLW0603 - what is in place belongs to the test that runs
    for name in ENTRIES:
        monkeypatch.setattr(Pregel, name, routed(name))
    for name in ASKED:
        monkeypatch.setattr(InMemorySaver, name, asked(name))
    folder = tmp_path_factory.mktemp("runtimes")
    _now = injected = Injected(folder, database_template)
    yield
    _now = None
    told(test=request.node.nodeid, executions=injected.close())
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def saver():
    yield DurableSaver(_now.runtime(object()))


@asynccontextmanager
async def async_saver():
    yield DurableSaver(_now.runtime(object()))


def pytest_collection_modifyitems(items):
    import tests.conftest  # LangGraph's own, in whose fixtures savers are made

    tests.conftest._checkpointer_sqlite = saver
    tests.conftest._checkpointer_sqlite_aio = async_saver
