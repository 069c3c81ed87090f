"""Fan-out and sub-graphs: nodes of every graph inside a wrapped one are steps, and behave as bare."""

from __future__ import annotations

import operator
import time
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.tools import tool as langchain_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from durable import Decision, Runtime, ToolPolicy
from durable.adapters.langgraph import DurableSaver, durable_graph
from durable.errors import Unsupported
from tests.adapters.langgraph_world import plain

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    n: int


def chain(*names: str, **nodes: Any) -> StateGraph[Any, Any, Any, Any]:
    """Nodes one after the other; those that are not given log their name."""
    graph = StateGraph(State)
    for before, name in zip((START, *names), names, strict=False):
        graph.add_node(name, nodes.get(name) or (lambda _, name=name: {"log": [name]}))
        graph.add_edge(before, name)
    return graph


def steps(runtime):
    [execution] = runtime.executions()
    return [record.payload["name"] for record in runtime.get(execution.id).history() if record.kind == "step_done"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_fan_out_by_send_is_a_step_for_each_also_for_equal_ones(runtime, ledger, is_async):
    graph = StateGraph(State)
    graph.add_node("work", lambda state: {"log": [ledger.did(f"work {state['n']}")]})
    graph.add_node("join", lambda state: {"n": len(state["log"])})
    graph.add_conditional_edges(START, lambda _: [Send("work", {"n": n}) for n in (1, 2, 2, 3)], ["work"])
    graph.add_edge("work", "join")
    wrapped = durable_graph(graph, runtime, name="app")
    found = await wrapped.ainvoke({}, CONFIG) if is_async else wrapped.invoke({}, CONFIG)
    assert found == graph.compile().invoke({})
    assert found["n"] == 4
    assert steps(runtime).count("work") == 4


@pytest.mark.parametrize("count", [40])
async def test_a_wide_fan_out_does_not_wait_for_itself(runtime, count):
    async def work(state):
        return {"log": [str(state["n"])]}

    graph = StateGraph(State)
    graph.add_node("prepare", lambda _: {})
    graph.add_node("work", work)
    graph.add_edge(START, "prepare")
    graph.add_conditional_edges("prepare", lambda _: [Send("work", {"n": n}) for n in range(count)], ["work"])
    wrapped = durable_graph(graph, runtime, name="app")
    assert len((await wrapped.ainvoke({}, CONFIG))["log"]) == count


@pytest.mark.parametrize("checkpointer", [None, True, False], ids=["inherited", "own", "none"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_graph_as_a_node_is_not_a_step_its_nodes_are(runtime, checkpointer, is_async):
    inner = chain("one", "two").compile(checkpointer=checkpointer)
    outer = chain("before", "inner", "after", inner=inner)
    bare, wrapped = outer.compile(checkpointer=InMemorySaver()), durable_graph(outer, runtime, name="app")
    found = []
    for graph in (bare, wrapped):
        given = {"log": ["in"]}
        found.append(await graph.ainvoke(given, CONFIG) if is_async else graph.invoke(given, CONFIG))
    assert found[1] == found[0]
    assert steps(runtime) == ["before", "one", "two", "after"]
    assert plain(wrapped.get_state(CONFIG, subgraphs=True)) == plain(bare.get_state(CONFIG, subgraphs=True))


@pytest.mark.parametrize("checkpointer", [None, True, False], ids=["inherited", "own", "none"])
def test_a_graph_called_in_a_node_is_inside_of_its_step(runtime, ledger, checkpointer):
    inner = chain("one", "two", one=lambda _: {"log": [ledger.did("one")]}).compile(checkpointer=checkpointer)

    def node(state):
        first = inner.invoke({"log": []})
        return {"log": [*first["log"], *inner.invoke({"log": ["again"]})["log"]]}

    outer = chain("node", node=node)
    bare, wrapped = outer.compile(checkpointer=InMemorySaver()), durable_graph(outer, runtime, name="app")
    expected = bare.invoke({}, CONFIG)
    assert wrapped.invoke({}, CONFIG) == expected
    assert steps(runtime) == ["one", "two", "one", "two", "node"]
    assert plain(wrapped.get_state(CONFIG)) == plain(bare.get_state(CONFIG))
    if checkpointer is None:
        assert inner.invoke({})["log"] == ["one done", "two"]
    assert len(runtime.executions()) == 1


async def test_a_graph_called_in_an_asynchronous_node_is_inside_of_its_step_too(runtime):
    inner = chain("one", "two").compile()

    async def node(state):
        return {"log": (await inner.ainvoke({"log": []}))["log"]}

    wrapped = durable_graph(chain("node", node=node), runtime, name="app")
    assert (await wrapped.ainvoke({}, CONFIG))["log"] == ["one", "two"]
    assert steps(runtime) == ["one", "two", "node"]


def test_a_graph_that_is_made_at_run_time_is_covered_by_the_step_around_it(runtime, ledger):
    @langchain_tool
    def act(n: int) -> str:
        """Act."""
        return ledger.did(f"act {n}")

    def node(state):
        made = chain("made", made=lambda _: {"log": [act.invoke({"n": 1})]}).compile()
        return {"log": made.invoke({})["log"]}

    wrapped = durable_graph(chain("node", node=node), runtime, name="app")
    assert wrapped.invoke({}, CONFIG)["log"] == ["act 1 done"]
    assert steps(runtime)[0] == "act"


def test_a_command_to_the_parent_graph_leads_where_it_leads_bare(runtime):
    inner = chain("one", one=lambda _: Command(graph=Command.PARENT, goto="right", update={"log": ["from below"]}))
    outer = StateGraph(State)
    outer.add_node("inner", inner.compile(), destinations=("left", "right"))
    outer.add_node("left", lambda _: {"log": ["left"]})
    outer.add_node("right", lambda _: {"log": ["right"]})
    outer.add_edge(START, "inner")
    outer.add_edge("right", END)
    assert durable_graph(outer, runtime, name="app").invoke({}, CONFIG) == outer.compile().invoke({})
    assert runtime.executions()[0].output["log"] == ["from below", "right"]


def test_a_sub_graph_that_keeps_its_state_keeps_it_between_runs(runtime):
    inner = chain("one", one=lambda state: {"log": [f"{len(state['log'])}"]}).compile(checkpointer=True)
    outer = StateGraph(State)
    outer.add_node("node", lambda state: {"n": len(inner.invoke({"log": ["x"]})["log"])})
    outer.add_edge(START, "node")
    bare, wrapped = outer.compile(checkpointer=InMemorySaver()), durable_graph(outer, runtime, name="app")
    assert [wrapped.invoke({}, CONFIG)["n"] for _ in range(3)] == [bare.invoke({}, CONFIG)["n"] for _ in range(3)]


@pytest.mark.parametrize("nested", [False, True], ids=["as a node", "called in a node"])
def test_an_interrupt_inside_a_sub_graph_is_asked_and_answered(runtime, ledger, nested):
    asking = chain(
        "one", "ask", one=lambda _: {"log": [ledger.did("one")]}, ask=lambda _: {"log": [interrupt("which?")]}
    ).compile()
    outer = chain("inner", "after", inner=(lambda _: asking.invoke({"log": []})) if nested else asking)
    wrapped = durable_graph(outer, runtime, name="app")
    assert wrapped.invoke({"log": []}, CONFIG)["__interrupt__"][0].value == "which?"
    [row] = runtime.interrupts()
    runtime.decide(row.id, Decision.respond("this"), by="alice")
    assert wrapped.invoke(None, CONFIG)["log"][-3:] == ["one done", "this", "after"]
    assert ledger.counts() == {"one": 1}


def test_a_gated_tool_deep_inside_waits_and_runs_once_approved(sqlite_url, ledger):
    @langchain_tool
    def act(n: int) -> str:
        """Act."""
        return ledger.did(f"act {n}")

    inner = chain("one", "acting", acting=lambda _: {"log": [act.invoke({"n": 1})]}).compile()
    outer = chain("inner", "after", inner=chain("deep", deep=inner).compile())
    with Runtime(sqlite_url, policies={"act": ToolPolicy(approval=True)}) as runtime:
        wrapped = durable_graph(outer, runtime, name="app")
        assert wrapped.invoke({"log": []}, CONFIG)["__interrupt__"][0].value["tool"] == "act"
        [row] = runtime.interrupts()
        runtime.decide(row.id, Decision.approve(), by="alice")
        assert wrapped.invoke(None, CONFIG)["log"][-3:] == ["one", "act 1 done", "after"]
    assert ledger.counts() == {"act 1": 1}


def test_a_wrapped_graph_is_part_of_another_wrapped_graph(runtime):
    inner = durable_graph(chain("one", "two"), runtime, name="inner")
    outer = chain("inner", "call", "after", inner=inner, call=lambda _: {"log": inner.invoke({"log": ["x"]})["log"]})
    wrapped = durable_graph(outer, runtime, name="outer")
    assert wrapped.invoke({"log": []}, CONFIG)["log"] == ["one", "two", "x", "one", "two", "after"]
    assert steps(runtime) == ["one", "two", "one", "two", "call", "after"]
    assert inner.invoke({"log": []}, {"configurable": {"thread_id": "u"}})["log"] == ["one", "two"]
    assert [execution.app for execution in runtime.executions()] == ["inner", "outer"]


def test_a_wrapped_graph_called_with_a_thread_of_its_own_is_an_execution_of_its_own(runtime):
    inner = durable_graph(chain("one"), runtime, name="inner")
    own: Any = {"configurable": {"thread_id": "other"}}
    outer = chain("call", call=lambda _: {"log": inner.invoke({"log": []}, own)["log"]})
    assert durable_graph(outer, runtime, name="outer").invoke({}, CONFIG)["log"] == ["one"]
    assert [(found.app, found.thread) for found in runtime.executions()] == [("inner", "other"), ("outer", "t")]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_wrapped_graph_inside_a_bare_one_is_refused_by_name(runtime, is_async):
    inner = durable_graph(chain("one"), runtime, name="inner")
    outer = chain("inner", inner=inner).compile()
    with pytest.raises(Unsupported, match="graph 'inner' is durable.*wrap the outer graph"):
        await outer.ainvoke({}) if is_async else outer.invoke({})


def test_a_graph_in_a_closure_can_be_part_of_graphs_of_two_runtimes(tmp_path):
    inner = chain("one").compile()
    outer = chain("call", call=lambda _: {"log": inner.invoke({"log": []})["log"]})
    for name in ("a", "b"):
        with Runtime(f"sqlite:///{tmp_path / name}.db") as runtime:
            assert durable_graph(outer, runtime, name="outer").invoke({}, CONFIG)["log"] == ["one"]
            assert steps(runtime) == ["one", "call"]


def test_a_graph_that_calls_itself_can_be_wrapped(runtime):
    def node(state):
        deeper = itself.invoke({"log": [], "n": state["n"] - 1})["log"] if state["n"] else []
        return {"log": [f"at {state['n']}", *deeper]}

    itself = chain("node", node=node).compile()
    wrapped = durable_graph(itself, runtime, name="app")
    assert wrapped.invoke({"log": [], "n": 2}, CONFIG)["log"] == ["at 2", "at 1", "at 0"]
    assert steps(runtime) == ["node"] * 3


@pytest.mark.parametrize("checkpointer", [None, False])
def test_nodes_of_a_sub_graph_wait_for_the_checkpoint_around_them(runtime, monkeypatch, checkpointer):
    """They are keyed by the task around, whose id is made of that checkpoint: it must not be lost while they are kept."""
    put = DurableSaver.put

    def late(self, config, *args):
        if not config["configurable"].get("checkpoint_ns"):
            time.sleep(0.2)
        return put(self, config, *args)

    monkeypatch.setattr(DurableSaver, "put", late)
    inner = chain("a", "b").compile(checkpointer=checkpointer)
    durable_graph(chain("before", "inner", inner=inner), runtime, name="agent").invoke({"log": []}, CONFIG)
    [execution] = runtime.executions()
    history = runtime.get(execution.id).history()
    [kept] = [r.seq for r in history if r.kind == "checkpoint" and r.meta.get("step") == 1 and "ns" not in r.meta]
    [first] = [r.seq for r in history if r.kind == "step_done" and r.meta["name"] == "a"]
    assert kept < first
