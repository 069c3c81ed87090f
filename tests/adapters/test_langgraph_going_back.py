"""Going back on a thread (``checkpoint_id``, ``update_state``, fork): what happened beyond is never repeated silently."""

from __future__ import annotations

import operator
from typing import Annotated, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool as langchain_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from durable import Decision, Runtime, tool
from durable.adapters.langgraph import durable_graph
from tests.adapters.langgraph_world import Scripted, call, says

THREAD = {"configurable": {"thread_id": "t"}}


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def paying(ledger):
    """Prepare, pay 10, end."""

    @tool
    def pay(amount):
        return ledger.did(f"pay {amount}")

    graph = StateGraph(State)
    graph.add_node("prepare", lambda state: {"log": ["prepared"]})
    graph.add_node("pay", lambda state: {"log": [pay(10)]})
    graph.add_edge(START, "prepare")
    graph.add_edge("prepare", "pay")
    return graph


def before(app, node, *, first=True):
    found = [state for state in app.get_state_history(THREAD) if state.next == (node,)]
    return found[-1 if first else 0].config


def only(runtime, **filters):
    (asked,) = runtime.interrupts(**filters)
    return asked


@pytest.fixture
def app(runtime, ledger):
    return durable_graph(paying(ledger), runtime, name="paying")


def back_by_checkpoint(app):
    return app.invoke(None, before(app, "pay"))


def back_by_update(app):
    return app.invoke(None, app.update_state(before(app, "pay"), {"log": ["changed"]}))


def back_with_input(app):
    app.update_state(before(app, "pay"), {"log": ["changed"]})
    return app.invoke({"log": ["new"]}, THREAD)


WAYS = [back_by_checkpoint, back_by_update, back_with_input]


@pytest.mark.parametrize("way", WAYS)
def test_a_payment_beyond_the_point_is_asked_about(runtime, app, ledger, way):
    app.invoke({"log": []}, THREAD)
    assert way(app)["__interrupt__"]
    asked = only(runtime)
    assert (asked.kind, asked.tool, ledger.counts()) == ("repeat", "pay", {"pay 10": 1})


@pytest.mark.parametrize("way", WAYS)
def test_its_result_is_taken_where_that_is_the_answer(runtime, app, ledger, way):
    app.invoke({"log": []}, THREAD)
    way(app)
    runtime.decide(only(runtime).id, Decision.reuse(), by="ann")
    assert app.invoke(None, THREAD)["log"][-1] == "pay 10 done"
    assert ledger.counts() == {"pay 10": 1}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_done_again_where_that_is_the_answer(runtime, app, ledger, way):
    app.invoke({"log": []}, THREAD)
    way(app)
    runtime.decide(only(runtime).id, Decision.again(), by="ann")
    app.invoke(None, THREAD)
    assert ledger.counts() == {"pay 10": 2}


async def test_so_it_is_in_async_code(runtime, app, ledger):
    await app.ainvoke({"log": []}, THREAD)
    assert (await app.ainvoke(None, before(app, "pay")))["__interrupt__"]
    assert (only(runtime).kind, ledger.counts()) == ("repeat", {"pay 10": 1})


def test_going_back_while_an_execution_waits_further_on_begins_another_one(runtime, ledger):
    graph = paying(ledger)
    graph.add_node("ask", lambda state: {"log": [interrupt("which?")]})
    graph.add_edge("pay", "ask")
    app = durable_graph(graph, runtime, name="paying")
    app.invoke({"log": []}, THREAD)
    back_by_update(app)
    assert (only(runtime).kind, ledger.counts()) == ("repeat", {"pay 10": 1})
    assert [one.status for one in runtime.executions()] == ["suspended", "cancelled"]


def test_turn_after_turn_nothing_is_asked(runtime, app, ledger):
    for _ in range(3):
        app.invoke({"log": []}, THREAD)
    assert (runtime.interrupts(), ledger.counts()) == ([], {"pay 10": 3})


def test_what_is_beyond_is_remembered_in_the_turns_that_follow(runtime, ledger):
    app = durable_graph(chatting(ledger, pays_at=(1, 3)), runtime, name="chat")
    for words in ("hello", "pay"):
        app.invoke({"log": [words]}, THREAD)
    after_hello = [state for state in app.get_state_history(THREAD) if state.next == ()][-1].config
    app.update_state(after_hello, {"log": ["back"]}, as_node="chat")
    app.invoke({"log": ["talk"]}, THREAD)
    app.invoke({"log": ["pay"]}, THREAD)
    assert (only(runtime).kind, ledger.counts()) == ("repeat", {"pay 10": 1})
    runtime.decide(only(runtime).id, Decision.again(), by="ann")
    app.invoke(None, THREAD)
    app.invoke({"log": ["pay"]}, THREAD)
    assert (runtime.interrupts(), ledger.counts()) == ([], {"pay 10": 3})


def chatting(ledger, *, pays_at):
    """Pay if the last word says so."""

    @tool
    def pay(amount):
        return ledger.did(f"pay {amount}")

    graph = StateGraph(State)
    graph.add_node("chat", lambda state: {"log": [pay(10) if state["log"][-1] == "pay" else "yes"]})
    graph.add_edge(START, "chat")
    return graph


def test_a_result_that_is_taken_answers_the_call_that_the_model_makes_now(runtime, ledger):
    @langchain_tool
    def pay(amount: int) -> str:
        """Pay."""
        return ledger.did(f"pay {amount}")

    def agent(call_id):
        model = Scripted(lines=[says("", call("pay", call_id, amount=10)), says("done")])
        return durable_graph(create_agent(model, [pay]), runtime, name="agent")

    app = agent("one")
    app.invoke({"messages": [("user", "pay")]}, THREAD)
    app = agent("two")
    config = before(app, "model")
    app.invoke(None, config)
    runtime.decide(only(runtime).id, Decision.reuse(), by="ann")
    messages = app.invoke(None, THREAD)["messages"]
    (told,) = [message for message in messages if isinstance(message, ToolMessage)]
    assert (told.tool_call_id, told.content, ledger.counts()) == ("two", "pay 10 done", {"pay 10": 1})


def test_a_question_asked_again_after_going_back_is_answered_as_in_the_bare_graph(runtime):
    graph = StateGraph(State)
    graph.add_node("prepare", lambda state: {"log": ["prepared"]})
    graph.add_node("ask", lambda state: {"log": ["answer " + interrupt("which?")]})
    graph.add_edge(START, "prepare")
    graph.add_edge("prepare", "ask")

    def outcome(app):
        app.invoke({"log": []}, THREAD)
        app.invoke(Command(resume="one"), THREAD)
        fork = app.update_state(before(app, "ask"), {"log": ["forked"]})
        assert "__interrupt__" in app.invoke(None, fork)
        return app.invoke(Command(resume="two"), THREAD)

    bare = outcome(graph.compile(checkpointer=InMemorySaver()))
    assert outcome(durable_graph(graph, runtime, name="ask")) == bare
    assert bare["log"][-1] == "answer two"


def seq_after(handle, event):
    return next(one.seq for one in handle.history() if one.kind == "step_done" and event in (one.step_key or ""))


def test_a_fork_has_the_thread_as_it_was(runtime, ledger, sqlite_url):
    app = durable_graph(paying(ledger), runtime, name="paying")
    app.invoke({"log": ["one"]}, THREAD)
    app.invoke({"log": ["two"]}, THREAD, execution_id="old")
    old = runtime.get("old")
    done = [one.seq for one in old.history() if one.kind == "step_done" and one.meta.get("name") == "prepare"]
    fork = old.fork(at=done[0], id="new")
    with Runtime(sqlite_url, on_repeat="reuse") as other:
        again = durable_graph(paying(ledger), other, name="paying")
        other.recover()
        assert fork.status == "succeeded"
        assert fork.result() == old.result()
        assert again.get_state({"configurable": {"thread_id": "new"}}).values == old.result()
        assert again.get_state(THREAD).values == old.result()
    assert ledger.counts() == {"pay 10": 2}


def test_every_clean_point_of_a_graph_can_be_forked(runtime, ledger, sqlite_url):
    app = durable_graph(paying(ledger), runtime, name="paying")
    app.invoke({"log": ["one"]}, THREAD, execution_id="old")
    old = runtime.get("old")
    with Runtime(sqlite_url, on_repeat="reuse") as other:
        durable_graph(paying(ledger), other, name="paying")
        forks = [other.get("old").fork(at=at) for at in clean(old)]
        other.recover()
        assert len(forks) > 5
        assert [fork.result() for fork in forks] == [old.result()] * len(forks)
    assert ledger.counts() == {"pay 10": 1}


def clean(handle):
    from durable.record.prefix import clean_points

    return clean_points(handle.history())
