"""``durability="exit"``: what is kept when a run has come to rest is what the bare graph keeps, and recovery needs no less."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

from durable import Runtime
from durable.adapters.langgraph import durable_graph
from durable.adapters.langgraph.state.ends import Mark, ends
from tests.adapters.langgraph_world import Ledger, killed, plain

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def line(**nodes: Any) -> StateGraph[Any, Any, Any, Any]:
    """One node after the other."""
    graph = StateGraph(State)
    before = START
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_edge(before, name)
        before = name
    return graph


def says(word: str) -> Any:
    return lambda _: {"log": [word]}


def asks(_: State) -> State:
    return {"log": [interrupt("well?")]}


def breaks(_: State) -> State:
    raise ZeroDivisionError


def inner(middle: Any, **options: Any) -> Any:
    return line(first=says("first"), middle=middle, last=says("last")).compile(**options)


def fan(_: State) -> Any:
    return Command(goto=[Send("quick", {}), Send("slow", {})])


def fanned() -> StateGraph[Any, Any, Any, Any]:
    graph = line(fan=fan)
    graph.add_node("quick", inner(says("quick")))
    graph.add_node("slow", inner(asks))
    return graph


GRAPHS = {
    "nodes": lambda: line(one=says("one"), two=says("two")),
    "a question": lambda: line(one=says("one"), two=asks, three=says("three")),
    "a question in a graph inside": lambda: line(one=says("one"), two=inner(asks), three=says("three")),
    "a question two graphs deep": lambda: line(one=inner(says("one")), two=inner(inner(asks)), three=says("three")),
    "one of two graphs asks": fanned,
    "a failure": lambda: line(one=says("one"), two=breaks),
    "a failure in a graph inside": lambda: line(one=says("one"), two=inner(breaks)),
    "a graph with a history": lambda: line(one=inner(says("in"), checkpointer=True), two=says("two")),
}


def run(graph: Any, value: Any) -> Any:
    try:
        return graph.invoke(value, CONFIG, durability="exit")
    except ZeroDivisionError:
        return "failed"


def kept(graph: Any) -> list[str]:
    """What is stored of the thread, of all graphs in it: places without ids, steps, and whether there is a parent."""
    stored = sorted(graph.checkpointer.list(CONFIG), key=lambda one: one.checkpoint["id"])
    return [
        f"{plain(one.config['configurable']['checkpoint_ns'])} {one.metadata['step']} {one.parent_config is not None}"
        for one in stored
    ]


def history(graph: Any) -> str:
    return plain(
        [(state.values, state.next, state.metadata, state.interrupts) for state in graph.get_state_history(CONFIG)]
    )


@pytest.mark.parametrize("name", GRAPHS)
def test_what_stays_is_what_the_bare_graph_would_have_written(runtime, name):
    bare = GRAPHS[name]().compile(checkpointer=InMemorySaver())
    wrapped = durable_graph(GRAPHS[name]().compile(), runtime, name="app")
    for value in (
        {"log": ["in"]},
        Command(resume="yes") if "question" in name or "asks" in name else {"log": ["again"]},
    ):
        assert plain(run(wrapped, value)) == plain(run(bare, value))
        assert kept(wrapped) == kept(bare)
        assert history(wrapped) == history(bare)


async def test_it_is_so_in_async_code(runtime):
    wrapped = durable_graph(GRAPHS["a question in a graph inside"]().compile(), runtime, name="app")
    await wrapped.ainvoke({"log": ["in"]}, CONFIG, durability="exit")
    assert len(kept(wrapped)) == 2
    await wrapped.ainvoke(Command(resume="yes"), CONFIG, durability="exit")
    assert [state.values["log"][-1] async for state in wrapped.aget_state_history(CONFIG)] == ["three", "one"]


def test_the_old_name_of_it_means_the_same(runtime):
    wrapped = durable_graph(GRAPHS["nodes"]().compile(), runtime, name="app")
    with pytest.warns(DeprecationWarning, match="checkpoint_during"):
        wrapped.invoke({"log": ["in"]}, CONFIG, checkpoint_during=False)
    assert len(kept(wrapped)) == 1


def test_a_killed_run_goes_on_where_it_was_and_the_worker_keeps_its_end(sqlite_url, tmp_path):
    def made(runtime: Runtime, ledger: Ledger) -> Any:
        graph = line(one=lambda _: {"log": [ledger.did("one")]}, two=lambda _: {"log": [ledger.did("two")]})
        return durable_graph(graph.compile(), runtime, name="app")

    def die() -> None:
        with Runtime(sqlite_url) as runtime:
            graph = made(runtime, Ledger(tmp_path / "ledger", die_at="two"))
            graph.invoke({"log": ["in"]}, CONFIG, durability="exit")

    killed(die)
    ledger = Ledger(tmp_path / "ledger")
    with Runtime(sqlite_url) as runtime:
        graph = made(runtime, ledger)
        assert len(kept(graph)) > 1
        runtime.recover()
        [execution] = runtime.executions()
        assert execution.status == "succeeded"
        assert execution.output == {"log": ["in", "one done", "two done"]}
        assert ledger.counts()["one"] == 1
        assert len(kept(graph)) == 1


def test_a_graph_that_has_not_finished_keeps_where_it_is():
    marks = [
        Mark("", "1", {}),
        Mark("sub:old", "2", {"": "1"}),
        Mark("", "3", {}),
        Mark("sub:a", "4", {"": "3"}),
        Mark("sub:a", "5", {"": "3"}),
        Mark("sub:done", "6", {"": "3"}),
    ]
    newest = {"": "3", "sub:old": "2", "sub:a": "5", "sub:done": "6"}
    assert ends(marks, newest, {"done"}) == {("", "3"), ("sub:a", "5")}
