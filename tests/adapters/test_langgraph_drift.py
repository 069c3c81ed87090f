"""A graph that changed while an execution waited: drift is shown and decided, never dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from durable import Decision, Runtime
from durable.adapters.langgraph import durable_graph
from durable.errors import ExecutionCancelled

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    a: int
    b: int
    c: int


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    with Runtime(database_url) as runtime:
        yield runtime


def chain(runtime: Runtime, *names: str, crash_in: str | None = None, ran: list[str] | None = None) -> Any:
    """``names`` one after the other; each sets the state's key of its first letter."""

    def node(name: str) -> Any:
        def run(_: State) -> dict[str, int]:
            if name == crash_in:
                raise KeyboardInterrupt
            if ran is not None:
                ran.append(name)
            return {name[0]: 1}

        return run

    graph = StateGraph(State)
    before = START
    for name in names:
        graph.add_node(name, node(name))
        graph.add_edge(before, name)
        before = name
    return durable_graph(graph, runtime, name="chain")


def interrupted(runtime: Runtime) -> None:
    with pytest.raises(KeyboardInterrupt):
        chain(runtime, "a", "b", "c", crash_in="b").invoke({}, CONFIG, execution_id="e")


@pytest.mark.parametrize("names", [("a", "b2", "c"), ("a", "c")], ids=["renamed", "removed"])
def test_a_pending_node_that_is_gone_stops_at_a_drift_interrupt_that_shows_both_sides(
    runtime: Runtime, names: tuple[str, ...]
) -> None:
    interrupted(runtime)
    ran: list[str] = []
    shown = chain(runtime, *names, ran=ran).invoke(None, CONFIG)
    [row] = runtime.interrupts()
    assert row.kind == "drift"
    assert row.subject["recorded"] == {"pending_nodes": ["b"]}
    assert row.subject["now"] == {"nodes": sorted(names)}
    assert shown["__interrupt__"][0].id == row.id
    assert (ran, runtime.get("e").status) == ([], "suspended")


def test_the_old_graph_deployed_again_goes_on_and_withdraws_the_question(runtime: Runtime) -> None:
    interrupted(runtime)
    chain(runtime, "a", "c").invoke(None, CONFIG)
    ran: list[str] = []
    assert chain(runtime, "a", "b", "c", ran=ran).invoke(None, CONFIG) == {"a": 1, "b": 1, "c": 1}
    assert ran == ["b", "c"]
    assert [row.status for row in runtime.interrupts(status=None)] == ["cancelled"]


def test_approving_tries_again_and_asks_again_while_the_node_is_missing(runtime: Runtime) -> None:
    interrupted(runtime)
    graph = chain(runtime, "a", "c")
    graph.invoke(None, CONFIG)
    runtime.decide(runtime.interrupts()[0].id, Decision.approve(), by="alice")
    graph.invoke(None, CONFIG)
    assert [row.status for row in runtime.interrupts(status=None)] == ["consumed", "open"]
    assert runtime.get("e").status == "suspended"


def test_cancelling_ends_the_execution_and_frees_the_thread(runtime: Runtime) -> None:
    interrupted(runtime)
    graph = chain(runtime, "a", "c")
    graph.invoke(None, CONFIG)
    runtime.decide(runtime.interrupts()[0].id, Decision.cancel("not needed any more"), by="alice")
    with pytest.raises(ExecutionCancelled, match="not needed"):
        graph.invoke(None, CONFIG)
    assert graph.invoke({}, {"configurable": {"thread_id": "other"}}) == {"a": 1, "c": 1}


def test_a_pending_send_to_a_node_that_is_gone_is_drift_too(runtime: Runtime) -> None:
    def fan(runtime: Runtime, target: str, *, crash: bool) -> Any:
        def work(_: Any) -> dict[str, int]:
            if crash:
                raise KeyboardInterrupt
            return {"b": 1}

        graph = StateGraph(State)
        graph.add_node("a", lambda _: {"a": 1})
        graph.add_node(target, work)
        graph.add_edge(START, "a")
        graph.add_conditional_edges("a", lambda _: [Send(target, {}), Send(target, {})], [target])
        return durable_graph(graph, runtime, name="fan")

    with pytest.raises(KeyboardInterrupt):
        fan(runtime, "work", crash=True).invoke({}, CONFIG)
    fan(runtime, "labour", crash=False).invoke(None, CONFIG)
    [row] = runtime.interrupts()
    assert row.subject["recorded"] == {"pending_nodes": ["work"]}


def test_a_node_added_before_or_after_what_is_pending_does_no_harm(runtime: Runtime) -> None:
    interrupted(runtime)
    ran: list[str] = []
    chain(runtime, "a", "new", "b", "c", "c2", ran=ran).invoke(None, CONFIG)
    assert ran == ["b", "c", "c2"]
    assert runtime.interrupts() == []
