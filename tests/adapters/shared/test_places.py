"""Functions of a framework that have an effect are steps like tools: counted, and waiting for what they need."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.adk.workflow import Workflow
from google.genai import types
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph

from durable import Budget, BudgetExceeded, Runtime, ToolPolicy, current, tool
from durable.adapters.google_adk import durable_runner
from durable.adapters.langgraph import durable_graph
from durable.errors import ExecutionSuspended
from tests.templates import *  # noqa: F403 - fixtures


class Effects:
    """Two effects, one after the other; each has the dependency ``db``, if there is one."""

    def __init__(self):
        self.done = []

    def does(self, number):
        self.done.append((number, current().dependencies.get("db", "none")))
        return "ok"


def tasks(effects, runtime):
    """Two ``@task`` of LangGraph with an effect."""

    @task
    @tool(effect="once")
    def one():
        return effects.does(1)

    @task
    @tool(effect="once")
    def two():
        return effects.does(2)

    @entrypoint()
    def flow(_: Any):
        return [one().result(), two().result()]

    graph = durable_graph(flow, runtime, name="flow")
    graph.invoke("x", {"configurable": {"thread_id": "t"}}, execution_id="e")


def nodes(effects, runtime):
    """Two nodes of LangGraph whose policy says that they have an effect."""
    graph = StateGraph(MessagesState)
    graph.add_node("one", lambda _: effects.does(1) and {})
    graph.add_node("two", lambda _: effects.does(2) and {})
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    app = durable_graph(graph.compile(), runtime, name="flow")
    app.invoke({"messages": []}, {"configurable": {"thread_id": "t"}}, execution_id="e")


def function_nodes(effects, runtime):
    """Two function nodes of a workflow of ADK."""

    def one(node_input):
        return effects.does(1)

    def two(node_input):
        return effects.does(2)

    async def go():
        runner = durable_runner(Workflow(name="flow", edges=[("START", one), (one, two)]), runtime, name="flow")
        await runner.session_service.create_session(app_name="flow", user_id="u", session_id="s")
        message = types.Content(role="user", parts=[types.Part(text="x")])
        async for _ in runner.run_async(user_id="u", session_id="s", execution_id="e", new_message=message):
            pass

    asyncio.run(go())


FUNCTIONS = [tasks, nodes, function_nodes]
EFFECTS = {"one": ToolPolicy(), "two": ToolPolicy()}


def run(functions, effects, url, **options):
    with Runtime(url, policies=EFFECTS, **options) as runtime:
        try:
            functions(effects, runtime)
        except (BudgetExceeded, ExecutionSuspended):
            pass
        execution = runtime.get("e")
        return execution.status, [record.payload.get("event") for record in execution.history()]


@pytest.mark.parametrize("functions", FUNCTIONS)
def test_a_budget_of_one_step_stops_the_second_effect(functions, sqlite_url):
    effects = Effects()
    status, _ = run(functions, effects, sqlite_url, budget=Budget(steps=1))
    assert effects.done == [(1, "none")]
    assert status == "failed"


@pytest.mark.parametrize("functions", FUNCTIONS)
def test_places_themselves_are_not_counted(functions, sqlite_url):
    effects = Effects()
    status, _ = run(functions, effects, sqlite_url, budget=Budget(steps=2))
    assert len(effects.done) == 2
    assert status == "succeeded"


@pytest.mark.parametrize("functions", FUNCTIONS)
def test_a_dependency_that_is_not_up_yet_suspends(functions, sqlite_url):
    def not_up():
        raise OSError("not up yet")

    effects = Effects()
    status, events = run(functions, effects, sqlite_url, dependencies={"db": not_up})
    assert effects.done == []
    assert status == "suspended"
    assert "dependency_failed" in events
