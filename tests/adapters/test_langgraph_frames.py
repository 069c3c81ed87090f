"""Inside a tool call, interrupts, tasks and graphs belong to that call: none is taken for another's, however it is replayed."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain.tools import ToolRuntime
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool as langchain_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, create_react_agent, tools_condition
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from durable import Decision, Runtime, ToolPolicy
from durable.adapters.langgraph import durable_graph
from tests.adapters.langgraph_world import Ledger, Scripted, call, contents, killed, plain, says

CONFIG: Any = {"configurable": {"thread_id": "t"}}
GO = {"messages": [("user", "go")]}


class State(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


@pytest.fixture
def asking(ledger):
    @langchain_tool
    def ask(what: str) -> str:
        """Ask."""
        ledger.did(f"ask {what}")
        return f"{what}={interrupt(what)}"

    return ask


def one_node(node: Any) -> StateGraph[Any, Any, Any, Any]:
    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    return graph


def one_task(tools: Any, *lines: Any, **options: Any) -> StateGraph[Any, Any, Any, Any]:
    """An agent whose calls of one message are made in one task."""
    model = Scripted(lines=list(lines))
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode(tools, **options))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph


def answer(runtime, what, value):
    [row] = [row for row in runtime.interrupts() if row.subject["question"] == what]
    runtime.decide(row.id, Decision.respond(value), by="alice")


def told(found):
    """What the model was told by its tools."""
    return [content for kind, content in contents(found) if kind == "tool"]


def test_tools_called_one_after_the_other_get_each_its_own_answer(runtime, ledger, asking):
    def node(_):
        first = asking.invoke({"what": "a"})
        between = interrupt("between")
        second = asking.invoke({"what": "b"})
        return {"log": [first, between, second, interrupt("after")]}

    graph = one_node(node)
    bare, wrapped = graph.compile(checkpointer=InMemorySaver()), durable_graph(graph, runtime, name="app")
    for app in (bare, wrapped):
        app.invoke({}, CONFIG)
        for value in ("1", "2", "3"):
            app.invoke(Command(resume=value), CONFIG)
    expected = bare.invoke(Command(resume="4"), CONFIG)
    assert wrapped.invoke(Command(resume="4"), CONFIG) == expected
    assert expected["log"] == ["a=1", "2", "b=3", "4"]


def test_a_tool_that_asks_twice_gets_both_answers(runtime):
    @langchain_tool
    def ask(what: str) -> str:
        """Ask."""
        return f"{interrupt(f'{what} first')} {interrupt(f'{what} second')}"

    wrapped = durable_graph(
        one_node(lambda _: {"log": [ask.invoke({"what": "a"}), ask.invoke({"what": "b"})]}), runtime, name="app"
    )
    wrapped.invoke({}, CONFIG)
    for value in ("1", "2", "3"):
        wrapped.invoke(Command(resume=value), CONFIG)
    assert wrapped.invoke(Command(resume="4"), CONFIG)["log"] == ["1 2", "3 4"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_parallel_tools_that_ask_are_answered_by_call_in_any_order(runtime, ledger, asking, is_async):
    calls = [call("ask", f"c-{what}", what=what) for what in "abc"]
    wrapped = durable_graph(one_task([asking], says("", *calls), says("end")), runtime, name="app")

    async def invoke(given):
        return await wrapped.ainvoke(given, CONFIG) if is_async else wrapped.invoke(given, CONFIG)

    found = await invoke(GO)
    assert sorted(asked.value for asked in found["__interrupt__"]) == ["a", "b", "c"]
    for what, value in (("c", "3"), ("a", "1")):
        answer(runtime, what, value)
        await invoke(None)
    assert told(await invoke(Command(resume="2"))) == ["a=1", "b=2", "c=3"]
    assert ledger.counts() == {"ask a": 3, "ask b": 4, "ask c": 2}


def test_answers_by_the_ids_of_the_interrupts_reach_their_calls(runtime, asking):
    calls = [call("ask", f"c-{what}", what=what) for what in "ab"]
    wrapped = durable_graph(one_task([asking], says("", *calls), says("end")), runtime, name="app")
    asked = wrapped.invoke(GO, CONFIG)["__interrupt__"]
    found = wrapped.invoke(Command(resume={one.id: f"for {one.value}" for one in asked}), CONFIG)
    assert told(found) == ["a=for a", "b=for b"]


def test_more_calls_than_threads_are_all_asked_in_one_pass(runtime, asking):
    calls = [call("ask", f"c-{number}", what=str(number)) for number in range(12)]
    wrapped = durable_graph(one_task([asking], says("", *calls), says("end")), runtime, name="app")
    found = wrapped.invoke(GO, {**CONFIG, "max_concurrency": 1})
    assert len(found["__interrupt__"]) == len(runtime.interrupts()) == 12


def test_a_node_that_swallows_the_interrupt_of_a_tool_waits_all_the_same(runtime, asking):
    def node(_):
        try:
            return {"log": [asking.invoke({"what": "a"})]}
        except Exception:
            return {"log": ["swallowed"]}

    wrapped = durable_graph(one_node(node), runtime, name="app")
    assert wrapped.invoke({}, CONFIG)["__interrupt__"][0].value == "a"
    assert wrapped.invoke(Command(resume="1"), CONFIG)["log"] == ["a=1"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_task_called_inside_a_tool_is_a_step_of_that_call(runtime, ledger, is_async):
    broken = [True]

    @task
    def work(what: str) -> str:
        return ledger.did(f"work {what}")

    @task
    async def awork(what: str) -> str:
        return ledger.did(f"work {what}")

    @langchain_tool
    def act(what: str) -> str:
        """Act."""
        return work(what).result()

    @langchain_tool
    async def aact(what: str) -> str:
        """Act."""
        return await awork(what)

    def node(_):
        found = [act.invoke({"what": "a"}), act.invoke({"what": "b"}), work("c").result()]
        if broken:
            raise ConnectionError
        return {"log": found}

    async def anode(_):
        found = [await aact.ainvoke({"what": "a"}), await aact.ainvoke({"what": "b"}), await awork("c")]
        if broken:
            raise ConnectionError
        return {"log": found}

    wrapped = durable_graph(one_node(anode if is_async else node), runtime, name="app")
    with pytest.raises(ConnectionError):
        await wrapped.ainvoke({}, CONFIG) if is_async else wrapped.invoke({}, CONFIG)
    broken.clear()
    found = await wrapped.ainvoke(None, CONFIG) if is_async else wrapped.invoke(None, CONFIG)
    assert found["log"] == ["work a done", "work b done", "work c done"]
    assert ledger.counts() == {"work a": 1, "work b": 1, "work c": 1}


def sub_agents(ledger: Ledger, *, by_config: bool) -> Any:
    """Two parallel calls in one task, each of which runs a graph with two effects."""
    inner = StateGraph(State)
    inner.add_node("one", lambda state: {"log": [ledger.did(f"{state['log'][0]} one")]})
    inner.add_node("two", lambda state: {"log": [ledger.did(f"{state['log'][0]} two")]})
    inner.add_edge(START, "one")
    inner.add_edge("one", "two")
    compiled = inner.compile()

    @langchain_tool
    def delegate(what: str, runtime: ToolRuntime) -> str:
        """Delegate."""
        given = {"log": [what]}
        found = compiled.invoke(given, runtime.config) if by_config else compiled.invoke(given)
        return ", ".join(found["log"])

    calls = [call("delegate", f"c-{what}", what=what) for what in "ab"]
    return one_task([delegate], says("", *calls), says("end"))


@pytest.mark.parametrize("by_config", [False, True], ids=["ambient config", "runtime.config"])
def test_graphs_inside_parallel_tools_go_on_from_their_own_checkpoints(sqlite_url, tmp_path, by_config):
    path, config = tmp_path / "ledger", {**CONFIG, "max_concurrency": 1}
    policies = {"delegate": ToolPolicy(effect="read")}

    def live():
        with Runtime(sqlite_url, policies=policies) as runtime:
            durable_graph(sub_agents(Ledger(path, "b two"), by_config=by_config), runtime, name="app").invoke(
                GO, config
            )

    killed(live)
    with Runtime(sqlite_url, policies=policies) as runtime:
        wrapped = durable_graph(sub_agents(Ledger(path), by_config=by_config), runtime, name="app")
        assert told(wrapped.invoke(None, config)) == ["a, a one done, a two done", "b, b one done, b two done"]
    assert Ledger(path).counts() == {"a one": 1, "a two": 1, "b one": 1, "b two": 2}


def test_a_graph_made_at_run_time_goes_on_from_where_it_was(sqlite_url, tmp_path):
    path = tmp_path / "ledger"

    def build(ledger):
        def node(_):
            made = StateGraph(State)
            made.add_node("one", lambda _: {"log": [ledger.did("one")]})
            made.add_node("two", lambda _: {"log": [ledger.did("two")]})
            made.add_edge(START, "one")
            made.add_edge("one", "two")
            return {"log": made.compile().invoke({"log": []})["log"]}

        return one_node(node)

    def live():
        with Runtime(sqlite_url) as runtime:
            durable_graph(build(Ledger(path, "two")), runtime, name="app").invoke({}, CONFIG)

    killed(live)
    with Runtime(sqlite_url) as runtime:
        found = durable_graph(build(Ledger(path)), runtime, name="app").invoke(None, CONFIG)
    assert found["log"] == ["one done", "two done"]
    assert Ledger(path).counts() == {"one": 1, "two": 2}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_stream_of_an_agent_in_a_tool_has_the_namespaces_it_has_bare(runtime, version):
    inner = create_react_agent(Scripted(lines=[says("inner")]), [])

    @langchain_tool
    def delegate(what: str) -> str:
        """Delegate."""
        return str(inner.invoke({"messages": [("user", what)]})["messages"][-1].content)

    graph = one_task([delegate], says("", call("delegate", "c1", what="x")), says("end"))
    asked: Any = {"stream_mode": ["updates", "messages"], "subgraphs": True, "version": version}
    expected = plain(list(graph.compile(checkpointer=InMemorySaver()).stream(GO, CONFIG, **asked)))
    wrapped = durable_graph(graph, runtime, name="app")
    assert plain(list(wrapped.stream(GO, CONFIG, **asked))) == expected
    assert "tools:<id>" in expected


@pytest.mark.parametrize("each", [False, True], ids=["one task", "a task each"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_wrapper_of_tool_calls_that_asks_is_answered_by_call(runtime, ledger, each, is_async):
    def gate(request, handler):
        if interrupt(request.tool_call["args"]["what"]) == "no":
            return ToolMessage("refused", tool_call_id=request.tool_call["id"])
        return handler(request)

    async def agate(request, handler):
        if interrupt(request.tool_call["args"]["what"]) == "no":
            return ToolMessage("refused", tool_call_id=request.tool_call["id"])
        return await handler(request)

    @langchain_tool
    def act(what: str) -> str:
        """Act."""
        return ledger.did(what)

    lines = [says("", *(call("act", f"c-{what}", what=what) for what in "ab")), says("end")]
    options: Any = {"awrap_tool_call": agate} if is_async else {"wrap_tool_call": gate}
    built = (
        create_react_agent(Scripted(lines=lines), ToolNode([act], **options))
        if each
        else one_task([act], *lines, **options)
    )
    wrapped = durable_graph(built, runtime, name="app")

    async def invoke(given):
        return await wrapped.ainvoke(given, CONFIG) if is_async else wrapped.invoke(given, CONFIG)

    assert len((await invoke(GO))["__interrupt__"]) == 2
    answer(runtime, "b", "no")
    await invoke(None)
    answer(runtime, "a", "yes")
    assert told(await invoke(None)) == ["a done", "refused"]
    assert ledger.counts() == {"a": 1}


class Found(BaseModel):
    """A type of a graph that nobody sees before it runs."""

    n: int


class Hidden(TypedDict, total=False):
    found: Found


def test_the_types_of_a_graph_made_at_run_time_become_known_when_it_runs(runtime):
    def node(_):
        made = StateGraph(Hidden)
        made.add_node("one", lambda _: {"found": Found(n=1)})
        made.add_node("two", lambda state: {"found": Found(n=state["found"].n + 1)})
        made.add_edge(START, "one")
        made.add_edge("one", "two")
        return {"log": [made.compile().invoke({})["found"].n]}

    assert durable_graph(one_node(node), runtime, name="app").invoke({}, CONFIG)["log"] == [2]
