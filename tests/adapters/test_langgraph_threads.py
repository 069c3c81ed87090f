"""One open execution a thread: who may continue it, what new input does to it, and what a checkpoint id means."""

from __future__ import annotations

import asyncio
import operator
import os
import signal
import threading
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import EmptyInputError
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from durable import Runtime, step
from durable.adapters.langgraph import durable_graph
from durable.errors import ExecutionBusy, ExecutionCancelled, ExecutionNotFound, ThreadBusy, Unsupported
from tests.adapters.langgraph_world import Ledger, killed

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def chain(**nodes: Any) -> StateGraph[Any, Any, Any, Any]:
    graph = StateGraph(State)
    for before, name in zip((START, *nodes), nodes, strict=False):
        graph.add_node(name, nodes[name])
        graph.add_edge(before, name)
    return graph


class Gate:
    """A node that says when it is entered, and stays until it is let go."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, _: Any) -> State:
        self.entered.set()
        assert self.open.wait(30)
        return {"log": ["gate"]}


def test_new_and_the_same_input_are_refused_while_the_thread_runs_in_this_process(runtime):
    gate = Gate()
    wrapped = durable_graph(chain(gate=gate), runtime, name="app")
    found: list[Any] = []
    running = threading.Thread(target=lambda: found.append(wrapped.invoke({"log": ["in"]}, CONFIG, execution_id="e")))
    running.start()
    assert gate.entered.wait(30)
    for given, options in (({"log": ["in"]}, {}), ({"log": ["other"]}, {})):
        with pytest.raises(ThreadBusy, match="thread 't' has the open execution 'e'"):
            wrapped.invoke(given, CONFIG, **options)
    for given in (None, {"log": ["in"]}):
        with pytest.raises(ExecutionBusy):
            wrapped.invoke(given, CONFIG, execution_id="e")
    with pytest.raises(ExecutionBusy):
        wrapped.invoke(None, CONFIG)
    assert runtime.recover() == []
    gate.open.set()
    running.join(30)
    assert found == [{"log": ["in", "gate"]}]
    assert len(runtime.executions()) == 1


def test_a_thread_that_runs_in_another_process_is_busy_until_that_one_is_gone(sqlite_url, ledger):
    entered, enter = os.pipe()
    waiting, let_go = os.pipe()

    def node(_):
        os.write(enter, b"x")
        os.read(waiting, 1)
        ledger.did("node")
        os.kill(os.getpid(), signal.SIGKILL)

    def live():
        with Runtime(sqlite_url) as runtime:
            durable_graph(chain(node=node), runtime, name="app").invoke({"log": ["in"]}, CONFIG)

    other = threading.Thread(target=killed, args=(live,))
    other.start()
    os.read(entered, 1)
    with Runtime(sqlite_url) as runtime:
        wrapped = durable_graph(chain(node=lambda _: {"log": [ledger.did("node")]}), runtime, name="app")
        with pytest.raises(ThreadBusy):
            wrapped.invoke({"log": ["in"]}, CONFIG)
        with pytest.raises(ExecutionBusy):
            wrapped.invoke(None, CONFIG)
        os.write(let_go, b"x")
        other.join(60)
        with pytest.raises(ThreadBusy):
            wrapped.invoke({"log": ["other"]}, CONFIG)
        assert wrapped.invoke({"log": ["in"]}, CONFIG) == {"log": ["in", "node done"]}
    for end in (entered, enter, waiting, let_go):
        os.close(end)


def asking(ledger: Ledger) -> StateGraph[Any, Any, Any, Any]:
    return chain(
        first=lambda _: {"log": [ledger.did("first")]}, ask=lambda _: {"log": [interrupt("go on?")]}, last=lambda _: {}
    )


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_new_input_on_a_waiting_thread_supersedes_what_waits(runtime, ledger, is_async):
    wrapped = durable_graph(asking(ledger), runtime, name="app")

    async def invoke(given, **options):
        return await wrapped.ainvoke(given, CONFIG, **options) if is_async else wrapped.invoke(given, CONFIG, **options)

    await invoke({"log": ["one"]}, execution_id="old")
    found = await invoke({"log": ["two"]}, execution_id="new")
    assert found["log"] == ["one", "first done", "two", "first done"]
    assert (runtime.get("old").status, runtime.get("new").status) == ("cancelled", "suspended")
    [row] = runtime.interrupts()
    assert row.execution_id == "new"
    assert (await invoke(Command(resume="yes")))["log"][-1] == "yes"
    with pytest.raises(ExecutionCancelled, match="superseded"):
        await invoke({"log": ["one"]}, execution_id="old")


def test_new_input_on_a_waiting_thread_is_refused_if_that_was_asked_for(runtime, ledger):
    wrapped = durable_graph(asking(ledger), runtime, name="app", on_suspended="refuse")
    wrapped.invoke({"log": ["one"]}, CONFIG)
    with pytest.raises(ThreadBusy, match="suspended"):
        wrapped.invoke({"log": ["two"]}, CONFIG)
    assert wrapped.invoke(Command(resume="yes"), CONFIG)["log"] == ["one", "first done", "yes"]
    assert wrapped.invoke({"log": ["two"]}, CONFIG)["log"][-2:] == ["two", "first done"]


def test_a_command_that_resumes_and_changes_the_state_at_once_is_refused(runtime, ledger):
    wrapped = durable_graph(asking(ledger), runtime, name="app")
    wrapped.invoke({"log": ["in"]}, CONFIG)
    for command in (Command(resume="yes", update={"log": ["more"]}), Command(resume="yes", goto="last")):
        with pytest.raises(Unsupported, match="update_state"):
            wrapped.invoke(command, CONFIG)
    wrapped.update_state(CONFIG, {"log": ["more"]})
    assert wrapped.invoke(Command(resume="yes"), CONFIG)["log"] == ["in", "first done", "more", "yes"]


def test_the_state_is_not_changed_under_a_node_in_which_an_effect_has_happened(runtime, ledger):
    def node(_):
        return {"log": [step(ledger.did, "paid"), interrupt("go on?")]}

    wrapped = durable_graph(chain(node=node), runtime, name="app")
    wrapped.invoke({"log": []}, CONFIG)
    with pytest.raises(Unsupported, match="'did' has run.*decide what it waits for or cancel"):
        wrapped.update_state(CONFIG, {"log": ["more"]})
    assert wrapped.invoke(Command(resume="yes"), CONFIG)["log"] == ["paid done", "yes"]
    wrapped.update_state(CONFIG, {"log": ["more"]})
    assert ledger.counts() == {"paid": 1}


def test_continuing_a_thread_that_nobody_began_is_an_error_as_bare(runtime, ledger):
    wrapped = durable_graph(asking(ledger), runtime, name="app")
    with pytest.raises(EmptyInputError):
        asking(ledger).compile(checkpointer=InMemorySaver()).invoke(None, CONFIG)
    with pytest.raises(EmptyInputError):
        wrapped.invoke(None, CONFIG)
    with pytest.raises(ExecutionNotFound):
        wrapped.invoke(None, execution_id="unknown")


def test_continuing_a_thread_that_has_ended_runs_nothing(runtime, ledger):
    wrapped = durable_graph(chain(node=lambda _: {"log": [ledger.did("node")]}), runtime, name="app")
    done = wrapped.invoke({"log": []}, CONFIG)
    assert wrapped.invoke(None, CONFIG) == done
    assert ledger.counts() == {"node": 1}


def failing(ledger: Ledger, broken: list[bool]) -> StateGraph[Any, Any, Any, Any]:
    def second(_):
        if broken:
            raise ConnectionError("down")
        return {"log": [ledger.did("second")]}

    return chain(first=lambda _: {"log": [ledger.did("first")]}, second=second)


def test_new_input_after_a_failure_is_a_new_execution_on_the_same_state(runtime, ledger):
    bare_broken, broken = [True], [True]
    bare = failing(Ledger(ledger.path.with_name("bare")), bare_broken).compile(checkpointer=InMemorySaver())
    wrapped = durable_graph(failing(ledger, broken), runtime, name="app")
    for graph, flag in ((bare, bare_broken), (wrapped, broken)):
        with pytest.raises(ConnectionError):
            graph.invoke({"log": ["one"]}, CONFIG)
        flag.clear()
    expected = bare.invoke({"log": ["two"]}, CONFIG)
    assert wrapped.invoke({"log": ["two"]}, CONFIG) == expected
    assert [execution.status for execution in runtime.executions()] == ["succeeded", "failed"]


def test_the_config_of_the_latest_state_continues_and_an_earlier_one_travels_back(runtime, ledger):
    broken = [True]
    wrapped = durable_graph(failing(ledger, broken), runtime, name="app")
    with pytest.raises(ConnectionError):
        wrapped.invoke({"log": ["in"]}, CONFIG, execution_id="e")
    broken.clear()
    assert wrapped.invoke(None, wrapped.get_state(CONFIG).config)["log"] == ["in", "first done", "second done"]
    assert ledger.counts() == {"first": 1, "second": 1}
    assert [execution.id for execution in runtime.executions()] == ["e"]
    [earlier] = [state.config for state in wrapped.get_state_history(CONFIG) if state.next == ("first",)]
    assert wrapped.invoke(None, earlier)["log"] == ["in", "first done", "second done"]
    assert ledger.counts() == {"first": 2, "second": 2}
    assert len(runtime.executions()) == 2


def test_travelling_back_on_a_thread_whose_last_run_failed_starts_from_the_checkpoint_that_was_named(runtime, ledger):
    broken = [True]
    wrapped = durable_graph(failing(ledger, broken), runtime, name="app")
    with pytest.raises(ConnectionError):
        wrapped.invoke({"log": ["in"]}, CONFIG)
    broken.clear()
    [earlier] = [state.config for state in wrapped.get_state_history(CONFIG) if state.next == ("first",)]
    assert wrapped.invoke(None, earlier)["log"] == ["in", "first done", "second done"]
    assert ledger.counts() == {"first": 2, "second": 1}


def test_many_threads_at_once_do_not_disturb_each_other(runtime, ledger):
    async def node(state):
        await asyncio.sleep(0)
        return {"log": [f"node {state['log'][0]}"]}

    wrapped = durable_graph(chain(node=node), runtime, name="app")

    async def all_of_them():
        runs = [wrapped.ainvoke({"log": [f"{n}"]}, {"configurable": {"thread_id": f"{n}"}}) for n in range(20)]
        return await asyncio.gather(*runs)

    assert [found["log"] for found in asyncio.run(all_of_them())] == [[f"{n}", f"node {n}"] for n in range(20)]


async def test_a_call_that_is_cancelled_can_be_continued(runtime, ledger):
    entered, never = asyncio.Event(), asyncio.Event()

    async def stays(_):
        if not ledger.counts().get("stays"):
            ledger.did("stays")
            entered.set()
            await never.wait()
        return {"log": ["stayed"]}

    wrapped = durable_graph(chain(first=lambda _: {"log": [ledger.did("first")]}, stays=stays), runtime, name="app")
    running = asyncio.create_task(wrapped.ainvoke({"log": []}, CONFIG))
    await entered.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert runtime.executions()[0].status == "suspended"  # who cancels has decided to stop: no worker goes on
    assert (await wrapped.ainvoke(None, CONFIG))["log"] == ["first done", "stayed"]
    assert ledger.counts() == {"first": 1, "stays": 1}
