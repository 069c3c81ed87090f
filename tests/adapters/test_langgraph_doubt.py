"""A ``once`` tool that was killed in the middle is never guessed about: one question, and its answer ends it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.tools import tool as langchain_tool
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, create_react_agent, tools_condition

from durable import Decision, Runtime, ToolPolicy
from durable import tool as durable_tool
from durable.adapters.langgraph import durable_graph
from durable.declare.policy import Done, NotDone
from durable.errors import ExecutionCancelled
from tests.adapters.langgraph_world import Ledger, Scripted, call, contents, killed, says

CONFIG: Any = {"configurable": {"thread_id": "t"}, "max_concurrency": 1}
GO = {"messages": [("user", "go")]}
LINES = [says("", *(call("act", f"id-{what}", what=what) for what in "abc")), says("end")]


def acting(ledger: Ledger) -> Any:
    @langchain_tool
    def act(what: str) -> str:
        """Act."""
        return ledger.did(what)

    return act


def one_task(ledger: Ledger) -> Any:
    model = Scripted(lines=LINES)
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([acting(ledger)]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph


def a_task_each(ledger: Ledger) -> Any:
    return create_react_agent(Scripted(lines=LINES), [acting(ledger)])


@pytest.fixture(params=[one_task, a_task_each], ids=["one task", "a task each"])
def build(request):
    return request.param


def crash(url, tmp_path, build, die_at="b", **options):
    def live():
        with Runtime(url, **options) as runtime:
            graph = durable_graph(build(Ledger(tmp_path / "ledger", die_at=die_at)), runtime, name="app")
            return graph.invoke(GO, CONFIG)

    killed(live)


def counts(tmp_path):
    return Ledger(tmp_path / "ledger").counts()


def test_the_killed_call_is_asked_about_once_and_the_others_go_on(sqlite_url, tmp_path, build):
    crash(sqlite_url, tmp_path, build)
    with Runtime(sqlite_url) as runtime:
        graph = durable_graph(build(Ledger(tmp_path / "ledger")), runtime, name="app")
        [asked] = graph.invoke(None, CONFIG)["__interrupt__"]
        [row] = runtime.interrupts()
        assert (asked.id, row.kind, row.tool, row.arguments) == (row.id, "in_doubt", "act", {"what": "b"})
        assert asked.value["question"] == "did act happen?"
        assert counts(tmp_path) == {"a": 1, "b": 1, "c": 1}
        assert graph.invoke(None, CONFIG)["__interrupt__"][0].id == row.id
        assert runtime.recover() == []
        assert len(runtime.interrupts()) == 1
        runtime.decide(row.id, Decision.happened("b was done"), by="alice")
        found = graph.invoke(None, CONFIG)
        assert [content for kind, content in contents(found) if kind == "tool"] == ["a done", "b was done", "c done"]
        assert runtime.executions()[0].status == "succeeded"
    assert counts(tmp_path) == {"a": 1, "b": 1, "c": 1}


def test_a_call_that_did_not_happen_is_run(sqlite_url, tmp_path, build):
    crash(sqlite_url, tmp_path, build)
    with Runtime(sqlite_url) as runtime:
        graph = durable_graph(build(Ledger(tmp_path / "ledger")), runtime, name="app")
        graph.invoke(GO, CONFIG)
        [row] = runtime.interrupts()
        runtime.decide(row.id, Decision.did_not_happen(), by="alice")
        [result] = runtime.recover()
        assert contents(result.output)[-1] == ("ai", "end")
    assert counts(tmp_path) == {"a": 1, "b": 2, "c": 1}


def test_cancelling_ends_the_execution_with_the_reason(sqlite_url, tmp_path, build):
    crash(sqlite_url, tmp_path, build)
    with Runtime(sqlite_url) as runtime:
        graph = durable_graph(build(Ledger(tmp_path / "ledger")), runtime, name="app")
        graph.invoke(None, CONFIG)
        [row] = runtime.interrupts()
        runtime.decide(row.id, Decision.cancel("give up"), by="alice")
        with pytest.raises(ExecutionCancelled, match="give up"):
            graph.invoke(None, CONFIG)
        assert runtime.executions()[0].status == "cancelled"
    assert counts(tmp_path)["b"] == 1


@pytest.mark.parametrize("verdict", [Done("b was found"), NotDone()], ids=["done", "not done"])
def test_a_reconcile_function_settles_the_doubt_without_a_person(sqlite_url, tmp_path, build, verdict):
    asked = []

    def reconcile(key, arguments):
        asked.append((len(key) > 16, arguments))
        return verdict

    crash(sqlite_url, tmp_path, build)
    with Runtime(sqlite_url, policies={"act": ToolPolicy(reconcile=reconcile)}) as runtime:
        graph = durable_graph(build(Ledger(tmp_path / "ledger")), runtime, name="app")
        found = graph.invoke(None, CONFIG)
        told = [content for kind, content in contents(found) if kind == "tool"]
    assert asked == [(True, {"what": "b"})]
    assert told[1] == ("b was found" if isinstance(verdict, Done) else "b done")
    assert counts(tmp_path)["b"] == (1 if isinstance(verdict, Done) else 2)


def test_an_approved_call_that_was_killed_is_in_doubt_and_not_asked_for_approval_again(sqlite_url, tmp_path, build):
    policies = {"act": ToolPolicy(approval=True)}
    with Runtime(sqlite_url, policies=policies) as runtime:
        graph = durable_graph(build(Ledger(tmp_path / "ledger")), runtime, name="app")
        graph.invoke(GO, CONFIG)
        for row in runtime.interrupts():
            runtime.decide(row.id, Decision.approve(), by="alice")

    def live():
        with Runtime(sqlite_url, policies=policies) as runtime:
            ledger = Ledger(tmp_path / "ledger", die_at="b")
            return durable_graph(build(ledger), runtime, name="app").invoke(None, CONFIG)

    killed(live)
    with Runtime(sqlite_url, policies=policies) as runtime:
        graph = durable_graph(build(Ledger(tmp_path / "ledger")), runtime, name="app")
        graph.invoke(None, CONFIG)
        [row] = runtime.interrupts()
        assert row.kind == "in_doubt"
        runtime.decide(row.id, Decision.happened("b was done"), by="alice")
        assert contents(graph.invoke(None, CONFIG))[-1] == ("ai", "end")
    assert counts(tmp_path) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_once_task_that_was_killed_is_in_doubt(sqlite_url, tmp_path, is_async):
    def build(ledger):
        if is_async:

            @task
            @durable_tool(effect="once")
            async def act(what: str) -> str:
                return ledger.did(what)

            @entrypoint()
            async def flow(whats: list[str]) -> list[str]:
                return [await act(what) for what in whats]

        else:

            @task
            @durable_tool(effect="once")
            def act(what: str) -> str:
                return ledger.did(what)

            @entrypoint()
            def flow(whats: list[str]) -> list[str]:
                return [act(what).result() for what in whats]

        return flow

    def invoke(graph, given):
        config: Any = {"configurable": {"thread_id": "t"}}
        return asyncio.run(graph.ainvoke(given, config)) if is_async else graph.invoke(given, config)

    def live():
        with Runtime(sqlite_url) as runtime:
            return invoke(durable_graph(build(Ledger(tmp_path / "ledger", "b")), runtime, name="app"), ["a", "b", "c"])

    killed(live)
    with Runtime(sqlite_url) as runtime:
        graph = durable_graph(build(Ledger(tmp_path / "ledger")), runtime, name="app")
        invoke(graph, None)
        [row] = runtime.interrupts()
        assert row.kind == "in_doubt"
        runtime.decide(row.id, Decision.happened("told"), by="alice")
        assert invoke(graph, None) == ["a done", "told", "c done"]
    assert counts(tmp_path) == {"a": 1, "b": 1, "c": 1}


def test_the_same_holds_on_postgresql(postgres_url, tmp_path):
    crash(postgres_url, tmp_path, one_task)
    with Runtime(postgres_url) as runtime:
        graph = durable_graph(one_task(Ledger(tmp_path / "ledger")), runtime, name="app")
        graph.invoke(None, CONFIG)
        [row] = runtime.interrupts()
        runtime.decide(row.id, Decision.happened("b was done"), by="alice")
        assert contents(graph.invoke(None, CONFIG))[-1] == ("ai", "end")
    assert counts(tmp_path) == {"a": 1, "b": 1, "c": 1}
