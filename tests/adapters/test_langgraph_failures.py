"""Retries, caches, errors that are swallowed, and values that cannot be stored."""

from __future__ import annotations

import operator
import sys
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.tools import tool as langchain_tool
from langgraph.cache.memory import InMemoryCache
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy, RetryPolicy

from durable import Decision, Retry, Runtime, ToolPolicy, current, step
from durable.adapters.langgraph import durable_graph
from durable.errors import ExecutionConflict, InvalidId, NotEncodable
from tests.adapters.langgraph_world import Ledger, call

CONFIG: Any = {"configurable": {"thread_id": "t"}}
QUICKLY = RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=4, retry_on=(ConnectionError,))


class State(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


def one_node(node: Any, **options: Any) -> StateGraph[Any, Any, Any, Any]:
    graph = StateGraph(State)
    graph.add_node("node", node, **options)
    graph.add_edge(START, "node")
    return graph


def flaky_tool(ledger: Ledger, failures: int) -> Any:
    @langchain_tool
    def flaky(n: int) -> str:
        """Flaky."""
        ledger.did("tried", current().idempotency_key)
        if ledger.counts()["tried"] <= failures:
            raise ConnectionError("busy")
        return "worked"

    return flaky


def act_tool(ledger: Ledger) -> Any:
    @langchain_tool
    def act(n: int) -> str:
        """Act."""
        return ledger.did(f"act {n}", current().idempotency_key)

    return act


# --- retries


@pytest.mark.parametrize("effect", ["read", "idempotent"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_retry_policy_of_a_node_repeats_what_failed_and_not_what_was_done(sqlite_url, ledger, effect, is_async):
    act, flaky = act_tool(ledger), flaky_tool(ledger, 2)
    with Runtime(sqlite_url, policies={"flaky": ToolPolicy(effect=effect)}) as runtime:
        if is_async:

            async def node(_):
                return {"log": [await act.ainvoke({"n": 1}), await flaky.ainvoke({"n": 1})]}

            wrapped = durable_graph(one_node(node, retry_policy=QUICKLY), runtime, name="app")
            found = await wrapped.ainvoke({}, CONFIG)
        else:
            wrapped = durable_graph(
                one_node(lambda _: {"log": [act.invoke({"n": 1}), flaky.invoke({"n": 1})]}, retry_policy=QUICKLY),
                runtime,
                name="app",
            )
            found = wrapped.invoke({}, CONFIG)
    assert found["log"] == ["act 1 done", "worked"]
    assert ledger.counts() == {"act 1": 1, "tried": 3}
    assert len(set(ledger.keys("tried"))) == 1


def test_a_once_tool_that_failed_is_not_run_again_by_a_retry_policy(runtime, ledger):
    flaky = flaky_tool(ledger, 2)
    wrapped = durable_graph(
        one_node(lambda _: {"log": [flaky.invoke({"n": 1})]}, retry_policy=QUICKLY), runtime, name="app"
    )
    with pytest.raises(ConnectionError, match="busy"):
        wrapped.invoke({}, CONFIG)
    assert ledger.counts() == {"tried": 1}
    assert runtime.executions()[0].status == "failed"


def test_continuing_a_failed_run_tries_the_step_it_failed_for_again_and_no_other(runtime, ledger):
    act, flaky = act_tool(ledger), flaky_tool(ledger, 1)
    wrapped = durable_graph(
        one_node(lambda _: {"log": [act.invoke({"n": 1}), flaky.invoke({"n": 1})]}), runtime, name="app"
    )
    with pytest.raises(ConnectionError):
        wrapped.invoke({}, CONFIG)
    assert wrapped.invoke(None, CONFIG)["log"] == ["act 1 done", "worked"]
    assert ledger.counts() == {"act 1": 1, "tried": 2}
    assert len(runtime.executions()) == 1


def test_retries_of_a_tools_policy_happen_within_the_call(sqlite_url, ledger):
    flaky = flaky_tool(ledger, 2)
    policy = ToolPolicy(effect="idempotent", retry=Retry(attempts=3, initial=0.0))
    with Runtime(sqlite_url, policies={"flaky": policy}) as runtime:
        wrapped = durable_graph(one_node(lambda _: {"log": [flaky.invoke({"n": 1})]}), runtime, name="app")
        assert wrapped.invoke({}, CONFIG)["log"] == ["worked"]
    assert len(set(ledger.keys("tried"))) == 1


def test_a_node_with_a_policy_is_an_effect_itself(sqlite_url, ledger):
    with Runtime(sqlite_url, policies={"node": ToolPolicy(effect="once")}) as runtime:
        wrapped = durable_graph(one_node(lambda _: {"log": [ledger.did("node")]}), runtime, name="app")
        assert wrapped.invoke({}, CONFIG)["log"] == ["node done"]
        history = runtime.get(runtime.executions()[0].id).history()
    assert [record.payload["name"] for record in history if record.kind == "step_started"] == ["node"]


def test_an_error_handler_of_a_graph_is_the_bare_graphs(runtime):
    def breaks(_):
        raise ValueError("no")

    def build():
        graph = StateGraph(State)
        graph.add_node("breaks", breaks, error_handler=lambda state, error: {"log": [f"handled {error.error}"]})
        graph.add_edge(START, "breaks")
        return graph

    try:
        expected = build().compile().invoke({})
    except (TypeError, ValueError) as exc:
        with pytest.raises(type(exc)):
            durable_graph(build(), runtime, name="app").invoke({}, CONFIG)
    else:
        assert durable_graph(build(), runtime, name="app").invoke({}, CONFIG) == expected


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_cached_node_is_not_run_again_for_another_thread(runtime, ledger, is_async):
    graph = one_node(lambda _: {"log": [ledger.did("node")]}, cache_policy=CachePolicy())
    wrapped = durable_graph(graph.compile(cache=InMemoryCache()), runtime, name="app")
    for thread in ("a", "b"):
        config: Any = {"configurable": {"thread_id": thread}}
        found = await wrapped.ainvoke({"log": []}, config) if is_async else wrapped.invoke({"log": []}, config)
        assert found["log"] == ["node done"]
    assert ledger.counts() == {"node": 1}


# --- errors that are swallowed


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("by_id", [False, True], ids=["by number", "by call id"])
async def test_a_node_that_swallows_exceptions_does_not_swallow_a_gated_tool(sqlite_url, ledger, is_async, by_id):
    act = act_tool(ledger)
    given = call("act", "a1", n=1) if by_id else {"n": 1}

    def node(_):
        try:
            return {"log": [str(getattr(found := act.invoke(given), "content", found))]}
        except Exception as exc:
            return {"log": [f"swallowed {type(exc).__name__}"]}

    async def anode(_):
        try:
            return {"log": [str(getattr(found := await act.ainvoke(given), "content", found))]}
        except Exception as exc:
            return {"log": [f"swallowed {type(exc).__name__}"]}

    with Runtime(sqlite_url, policies={"act": ToolPolicy(approval=True)}) as runtime:
        wrapped = durable_graph(one_node(anode if is_async else node), runtime, name="app")
        found = await wrapped.ainvoke({}, CONFIG) if is_async else wrapped.invoke({}, CONFIG)
        assert "log" not in {key for key, value in found.items() if value}
        assert runtime.executions()[0].status == "suspended"
        [row] = runtime.interrupts()
        runtime.decide(row.id, Decision.approve(), by="alice")
        found = await wrapped.ainvoke(None, CONFIG) if is_async else wrapped.invoke(None, CONFIG)
    assert found["log"] == ["act 1 done"]
    assert ledger.counts() == {"act 1": 1}


def test_a_swallowed_failure_of_a_tool_is_swallowed_again_on_the_replay(runtime, ledger):
    flaky, broken = flaky_tool(ledger, 5), [True]

    def node(_):
        try:
            flaky.invoke({"n": 1})
        except ConnectionError as exc:
            if broken:
                raise KeyError("after") from exc
            return {"log": [f"handled {exc}"]}

    wrapped = durable_graph(one_node(node), runtime, name="app")
    with pytest.raises(KeyError):
        wrapped.invoke({}, CONFIG)
    broken.clear()
    assert wrapped.invoke(None, CONFIG)["log"] == ["handled busy"]


# --- values


@dataclass
class Unknown:
    """A type that no schema names."""

    n: int


def test_a_node_whose_result_cannot_be_stored_says_so_and_runs_again_when_the_type_is_known(tmp_path, ledger):
    url = f"sqlite:///{tmp_path / 'durable.db'}"
    act = act_tool(ledger)

    def node(_):
        return {"log": [act.invoke({"n": 1}), Unknown(7)]}

    with Runtime(url) as runtime:
        wrapped = durable_graph(one_node(node), runtime, name="app")
        with pytest.raises(NotEncodable, match=r"the result of node.*Unknown.*Runtime\(types=\["):
            wrapped.invoke({}, CONFIG)
        assert runtime.executions()[0].status == "failed"
    with Runtime(url, types=[Unknown]) as runtime:
        wrapped = durable_graph(one_node(node), runtime, name="app")
        assert wrapped.invoke(None, CONFIG)["log"] == ["act 1 done", Unknown(7)]
        assert runtime.executions()[0].status == "succeeded"
    assert ledger.counts() == {"act 1": 1}


def test_a_tool_whose_result_cannot_be_stored_is_not_run_again(runtime, ledger):
    @langchain_tool
    def act(n: int) -> Any:
        """Act."""
        ledger.did("act")
        return sys

    wrapped = durable_graph(one_node(lambda _: {"log": [str(act.invoke({"n": 1}))]}), runtime, name="app")
    for given in ({}, None, None):
        with pytest.raises(Exception, match="act was done, but its result is lost|cannot be stored|result is lost"):
            wrapped.invoke(given, CONFIG)
    assert ledger.counts() == {"act": 1}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"log": [sys]}, NotEncodable),
        ({"log": ["x" * (33 << 20)]}, Exception),
    ],
    ids=["not data", "too large"],
)
def test_an_input_that_cannot_be_stored_is_refused_before_anything_runs(runtime, ledger, given, error):
    wrapped = durable_graph(one_node(lambda _: {"log": [ledger.did("node")]}), runtime, name="app")
    with pytest.raises(error, match="input"):
        wrapped.invoke(given, CONFIG)
    assert runtime.executions() == []
    assert ledger.counts() == {}


@pytest.mark.parametrize("bad", ["", "a\x00b", "x" * 300], ids=["empty", "control", "long"])
def test_a_thread_or_execution_id_that_cannot_be_a_key_is_refused(runtime, bad):
    wrapped = durable_graph(one_node(lambda _: {"log": ["node"]}), runtime, name="app")
    with pytest.raises(InvalidId):
        wrapped.invoke({}, {"configurable": {"thread_id": bad}})
    with pytest.raises(InvalidId):
        wrapped.invoke({}, CONFIG, execution_id=bad)
    assert runtime.executions() == []


def test_the_same_execution_id_with_another_input_is_refused(runtime):
    wrapped = durable_graph(one_node(lambda _: {"log": ["node"]}), runtime, name="app")
    done = wrapped.invoke({"log": ["a"]}, CONFIG, execution_id="e")
    assert wrapped.invoke({"log": ["a"]}, CONFIG, execution_id="e") == done
    with pytest.raises(ExecutionConflict, match="another input"):
        wrapped.invoke({"log": ["b"]}, CONFIG, execution_id="e")
    with pytest.raises(ExecutionConflict, match="another thread"):
        wrapped.invoke({"log": ["a"]}, {"configurable": {"thread_id": "u"}}, execution_id="e")


# --- steps of one's own


def test_durable_steps_inside_a_node_are_recorded_in_its_scope(runtime, ledger):
    broken = [True]

    def node(_):
        first = step(ledger.did, "first")
        if broken:
            raise ConnectionError
        return {"log": [first, step.options(effect="read")(ledger.did, "second")]}

    wrapped = durable_graph(one_node(node), runtime, name="app")
    with pytest.raises(ConnectionError):
        wrapped.invoke({}, CONFIG)
    broken.clear()
    assert wrapped.invoke(None, CONFIG)["log"] == ["first done", "second done"]
    assert ledger.counts() == {"first": 1, "second": 1}
