"""LangGraph's own interrupts and our approvals share one inbox, and are delivered once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool as langchain_tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, Send, interrupt

from durable import Decision, Runtime, ToolPolicy
from durable.adapters.langgraph import durable_graph
from durable.errors import (
    AlreadyDecided,
    ExecutionCancelled,
    ExecutionConflict,
    InvalidDecision,
    ThreadBusy,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    first: str
    second: str
    before: int


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    with Runtime(database_url) as runtime:
        yield runtime


def asking(runtime: Runtime, calls: list[str]) -> Any:
    """A graph with one node that asks two questions, one after the other."""

    def node(state: State) -> State:
        calls.append("node")
        first = interrupt("first?")
        second = interrupt({"question": "second?"})
        return {"first": first, "second": second}

    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return durable_graph(graph, runtime, name="asking")


def test_a_native_interrupt_is_in_the_inbox_and_answered_from_it(runtime: Runtime) -> None:
    graph = asking(runtime, [])
    shown = graph.invoke({}, CONFIG)["__interrupt__"]
    [row] = runtime.interrupts()
    assert (row.kind, row.subject["question"], shown[0].value) == ("question", "first?", "first?")
    runtime.decide(row.id, Decision.respond("one"), by="alice")
    assert [result.status for result in runtime.recover()] == ["suspended"]
    [row] = runtime.interrupts()
    runtime.decide(row.id, Decision.respond("two"), by="alice")
    assert graph.invoke(None, CONFIG) == {"first": "one", "second": "two"}
    assert runtime.interrupts() == []


def test_command_resume_keeps_working_and_is_recorded_as_a_decision(runtime: Runtime) -> None:
    graph = asking(runtime, [])
    graph.invoke({}, CONFIG)
    graph.invoke(Command(resume="one"), CONFIG)
    assert graph.invoke(Command(resume="two"), CONFIG) == {"first": "one", "second": "two"}
    assert [row.decided_by for row in runtime.interrupts(status="consumed")] == ["Command(resume)"] * 2


def test_resuming_again_after_the_end_runs_nothing(runtime: Runtime) -> None:
    calls: list[str] = []
    graph = asking(runtime, calls)
    graph.invoke({}, CONFIG)
    graph.invoke(Command(resume="one"), CONFIG)
    done = graph.invoke(Command(resume="two"), CONFIG)
    ran = len(calls)
    assert graph.invoke(Command(resume="three"), CONFIG) == done
    assert len(calls) == ran


def test_a_falsy_answer_is_an_answer(runtime: Runtime) -> None:
    graph = asking(runtime, [])
    graph.invoke({}, CONFIG)
    for answer in (0, None):
        [row] = runtime.interrupts()
        runtime.decide(row.id, Decision.respond(answer), by="alice")
        result = graph.invoke(None, CONFIG)
    assert result == {"first": 0, "second": None}


def test_a_rejected_question_ends_the_execution_with_its_reason(runtime: Runtime) -> None:
    graph = asking(runtime, [])
    graph.invoke({}, CONFIG)
    [row] = runtime.interrupts()
    runtime.decide(row.id, Decision.reject("no time"), by="alice")
    with pytest.raises(ExecutionCancelled, match="no time"):
        graph.invoke(None, CONFIG)


def test_parallel_questions_are_answered_by_id_in_any_order(runtime: Runtime) -> None:
    class Asked(TypedDict):
        n: int

    def ask_one(state: Asked) -> dict[str, Any]:
        return {f"answer{state['n']}": interrupt(f"q{state['n']}")}

    class Answers(TypedDict, total=False):
        answer1: str
        answer2: str

    graph = StateGraph(Answers)
    graph.add_node("ask_one", ask_one)
    graph.add_conditional_edges(START, lambda _: [Send("ask_one", {"n": 1}), Send("ask_one", {"n": 2})])
    app = durable_graph(graph, runtime, name="parallel")
    assert len(app.invoke({}, CONFIG)["__interrupt__"]) == 2
    with pytest.raises(InvalidDecision, match="several answers"):
        app.invoke(Command(resume="both"), CONFIG)
    rows = {row.subject["question"]: row for row in runtime.interrupts()}
    runtime.decide(rows["q2"].id, Decision.respond("b"), by="alice")
    app.invoke(None, CONFIG)
    runtime.decide(rows["q1"].id, Decision.respond("a"), by="bob")
    assert app.invoke(None, CONFIG) == {"answer1": "a", "answer2": "b"}


def test_a_static_breakpoint_is_in_the_inbox_and_passed_by_invoking_with_none(runtime: Runtime) -> None:
    graph = StateGraph(State)
    graph.add_node("one", lambda _: {"first": "1"})
    graph.add_node("two", lambda _: {"second": "2"})
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    app = durable_graph(graph.compile(interrupt_before=["two"]), runtime, name="stops")
    assert app.invoke({}, CONFIG) == {"first": "1"}
    [row] = runtime.interrupts()
    assert "stopped before two" in row.subject["question"]
    assert runtime.recover() == []
    assert app.invoke(None, CONFIG) == {"first": "1", "second": "2"}
    [row] = runtime.interrupts(status="consumed")
    assert row.decided_by == "invoke(None)"


# --- gated tools


def tool_agent(runtime: Runtime, ran: list[Any], calls: list[dict[str, Any]], *, per_call: bool = False) -> Any:
    """An agent whose model calls all ``calls`` at once, then ends."""

    @langchain_tool
    def book(day: int) -> str:
        """Book a day."""
        ran.append(("book", day))
        return f"booked {day}"

    @langchain_tool
    def pay(amount: int) -> str:
        """Pay."""
        ran.append(("pay", amount))
        return f"paid {amount}"

    def model(state: MessagesState) -> dict[str, Any]:
        ran.append("model")
        if len(state["messages"]) > 1:
            return {"messages": [AIMessage("done")]}
        return {"messages": [AIMessage("", tool_calls=calls)]}

    def route(state: MessagesState) -> Any:
        last: Any = state["messages"][-1]
        if not last.tool_calls:
            return END
        return [Send("tools", [call]) for call in last.tool_calls] if per_call else "tools"

    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode([book, pay]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", route, ["tools", END])
    graph.add_edge("tools", "model")
    return durable_graph(graph, runtime, name="agent")


CALLS = [
    {"name": "pay", "args": {"amount": 5}, "id": "p", "type": "tool_call"},
    {"name": "book", "args": {"day": 1}, "id": "b1", "type": "tool_call"},
    {"name": "book", "args": {"day": 2}, "id": "b2", "type": "tool_call"},
]


@pytest.fixture
def gated(database_url: str) -> Iterator[Runtime]:
    with Runtime(database_url, policies={"book": ToolPolicy(approval=True)}) as runtime:
        yield runtime


@pytest.mark.parametrize("per_call", [False, True], ids=["one task", "a task per call"])
def test_each_gated_call_is_decided_alone_in_any_order_and_the_free_one_is_not_blocked(
    gated: Runtime, per_call: bool
) -> None:
    ran: list[Any] = []
    agent = tool_agent(gated, ran, CALLS, per_call=per_call)
    result = agent.invoke({"messages": [("user", "go")]}, CONFIG)
    assert {found.value["arguments"]["day"] for found in result["__interrupt__"]} == {1, 2}
    assert ("pay", 5) in ran
    rows = {row.arguments["day"]: row for row in gated.interrupts()}
    gated.decide(rows[2].id, Decision.edit({"day": 22}), by="alice")
    agent.invoke(None, CONFIG)
    gated.decide(rows[1].id, Decision.reject("full"), by="bob")
    messages = agent.invoke(None, CONFIG)["messages"]
    assert [found for found in ran if found != "model"] == [("pay", 5), ("book", 22)]
    contents = {message.tool_call_id: message.content for message in messages if message.type == "tool"}
    assert contents == {"p": "paid 5", "b1": "book was rejected: full", "b2": "booked 22"}
    assert ran.count("model") == 2


def test_a_person_can_answer_instead_of_the_tool(gated: Runtime) -> None:
    ran: list[Any] = []
    agent = tool_agent(gated, ran, CALLS[1:2])
    agent.invoke({"messages": [("user", "go")]}, CONFIG)
    [row] = gated.interrupts()
    gated.decide(row.id, Decision.respond("already booked"), by="alice")
    messages = agent.invoke(None, CONFIG)["messages"]
    assert messages[2].content == "already booked"
    assert messages[2].tool_call_id == "b1"
    assert ("book", 1) not in ran


def test_command_resume_approves_nothing(gated: Runtime) -> None:
    ran: list[Any] = []
    agent = tool_agent(gated, ran, CALLS[1:2])
    agent.invoke({"messages": [("user", "go")]}, CONFIG)
    with pytest.raises(InvalidDecision, match="approves nothing"):
        agent.invoke(Command(resume=True), CONFIG)
    assert ("book", 1) not in ran


def test_the_same_decision_twice_is_one_and_another_is_refused(gated: Runtime) -> None:
    agent = tool_agent(gated, ran := [], CALLS[1:2])
    agent.invoke({"messages": [("user", "go")]}, CONFIG)
    [row] = gated.interrupts()
    assert gated.decide(row.id, Decision.approve(), by="alice") is True
    assert gated.decide(row.id, Decision.approve(), by="alice") is False
    with pytest.raises(AlreadyDecided):
        gated.decide(row.id, Decision.reject("no"), by="bob")
    agent.invoke(None, CONFIG)
    assert ran.count(("book", 1)) == 1


async def test_parallel_gated_calls_are_all_asked_in_one_pass_when_asynchronous(gated: Runtime) -> None:
    ran: list[Any] = []
    agent = tool_agent(gated, ran, CALLS)
    result = await agent.ainvoke({"messages": [("user", "go")]}, CONFIG)
    assert len(result["__interrupt__"]) == 2
    for row in await gated.aio.interrupts():
        await gated.aio.decide(row.id, Decision.approve(), by="alice")
    await agent.ainvoke(None, CONFIG)
    assert sorted(found for found in ran if found != "model") == [("book", 1), ("book", 2), ("pay", 5)]


# --- idempotent calls


def test_the_same_id_and_input_is_an_exact_resume_and_afterwards_the_recorded_output(gated: Runtime) -> None:
    ran: list[Any] = []
    agent = tool_agent(gated, ran, CALLS[:1])
    first = agent.invoke({"messages": [("user", "go")]}, CONFIG, execution_id="e1")
    agent.invoke({"messages": [("user", "more")]}, CONFIG)
    again = agent.invoke({"messages": [("user", "go")]}, CONFIG, execution_id="e1")
    assert again == first
    assert ran.count(("pay", 5)) == 1
    with pytest.raises(ExecutionConflict, match="input"):
        agent.invoke({"messages": [("user", "other")]}, CONFIG, execution_id="e1")


def test_new_input_supersedes_what_waits_or_is_refused(gated: Runtime, database_url: str) -> None:
    agent = tool_agent(gated, [], CALLS[1:2])
    agent.invoke({"messages": [("user", "go")]}, CONFIG, execution_id="old")
    agent.invoke({"messages": [("user", "other")]}, CONFIG, execution_id="new")
    assert gated.get("old").status == "cancelled"
    assert "superseded" in gated.get("old").execution().error["message"]
    refusing = durable_graph(agent.builder, gated, name="agent", on_suspended="refuse")
    other: Any = {"configurable": {"thread_id": "other"}}
    refusing.invoke({"messages": [("user", "go")]}, other)
    with pytest.raises(ThreadBusy, match="resume it"):
        refusing.invoke({"messages": [("user", "more")]}, other)
