"""Tools run through a wrapped graph as through the bare one, and each call is recorded once, under its call id."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain.tools import ToolRuntime
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import ToolMessage
from langchain_core.tools import InjectedToolCallId, StructuredTool, ToolException
from langchain_core.tools import tool as langchain_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, InjectedStore, ToolNode, tools_condition
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from durable import Approval, Decision, Runtime, ToolContext, ToolPolicy
from durable import tool as durable_tool
from durable.adapters.langgraph import durable_graph
from tests.adapters.langgraph_world import Scripted, call, contents, plain, says

CONFIG: Any = {"configurable": {"thread_id": "t"}}
GO = {"messages": [("user", "go")]}


def agent(tools: Any, *lines: Any, schema: Any = MessagesState, **options: Any) -> StateGraph[Any, Any, Any, Any]:
    """A model that says these lines, and a ToolNode for the calls it makes."""
    model = Scripted(lines=list(lines))
    graph = StateGraph(schema)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode(tools, **options))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph


def steps(runtime, kind="step_done"):
    [execution] = runtime.executions()
    return [record.payload["name"] for record in runtime.get(execution.id).history() if record.kind == kind]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_parallel_calls_in_one_task_are_a_step_each(runtime, ledger, is_async):
    @langchain_tool
    def book(day: int) -> str:
        """Book."""
        return ledger.did(f"book {day}")

    @langchain_tool
    async def fly(day: int) -> str:
        """Fly."""
        return ledger.did(f"fly {day}")

    tools = [fly if is_async else book]
    name = tools[0].name
    calls = [call(name, f"c{day}", day=day) for day in range(4)]
    graph = agent(tools, says("", *calls), says("done"))
    bare, wrapped = graph.compile(), durable_graph(graph, runtime, name="agent")
    found = await wrapped.ainvoke(GO, CONFIG) if is_async else wrapped.invoke(GO, CONFIG)
    expected = await bare.ainvoke(GO) if is_async else bare.invoke(GO)
    assert contents(found) == contents(expected)
    assert steps(runtime).count(name) == 4
    assert steps(runtime, "step_started").count(name) == 4
    assert ledger.counts() == {f"{name} {day}": 2 for day in range(4)}


def test_injected_arguments_are_filled_in_and_never_recorded(runtime):
    class State(MessagesState):
        secret: str

    @langchain_tool
    def look(
        what: str,
        state: Annotated[dict[str, Any], InjectedState],
        secret: Annotated[str, InjectedState("secret")],
        store: Annotated[Any, InjectedStore()],
        call_id: Annotated[str, InjectedToolCallId],
        runtime: ToolRuntime,
    ) -> str:
        """Look."""
        stored = store.get(("k",), "a").value["v"]
        return f"{what} {secret} {len(state['messages'])} {stored} {call_id} {runtime.tool_call_id}"

    graph = agent([look], says("", call("look", "c1", what="x")), says("done"), schema=State)
    found = []
    for given in ({"checkpointer": InMemorySaver()}, {}):
        store = InMemoryStore()
        store.put(("k",), "a", {"v": "kept"})
        compiled = graph.compile(store=store, **given)
        app = compiled if given else durable_graph(compiled, runtime, name="agent")
        found.append(contents(app.invoke({**GO, "secret": "hush"}, CONFIG)))
    assert found[1] == found[0]
    assert found[0][2] == ("tool", "x hush 2 kept c1 c1")
    [execution] = runtime.executions()
    [looked] = [record for record in runtime.get(execution.id).history() if record.payload.get("name") == "look"][:1]
    assert "hush" not in str(looked.payload)


def test_a_durable_tool_inside_a_langchain_tool_is_one_step_with_its_own_policy(runtime, ledger):
    @durable_tool(effect="idempotent")
    def charge(amount: int, context: ToolContext) -> str:
        """Charge."""
        return ledger.did(f"charge {amount}", context.idempotency_key)

    made = langchain_tool(charge)
    assert list(made.args) == ["amount"]
    graph = agent([made], says("", call("charge", "c1", amount=5)), says("done"))
    durable_graph(graph, runtime, name="agent").invoke(GO, CONFIG)
    assert steps(runtime).count("charge") == 1
    assert steps(runtime, "step_started").count("charge") == 0
    assert len(ledger.keys("charge 5")[0]) > 16


def test_policies_of_the_runtime_and_of_metadata_hold_for_tools(sqlite_url, ledger):
    def act(n: int) -> str:
        """Act."""
        return ledger.did(f"act {n}")

    by_metadata = StructuredTool.from_function(act, name="by_metadata", metadata={"durable": ToolPolicy(effect="read")})
    by_runtime = StructuredTool.from_function(act, name="by_runtime")
    neither = StructuredTool.from_function(act, name="neither")
    calls = [call(name, name, n=n) for n, name in enumerate(["by_metadata", "by_runtime", "neither"])]
    graph = agent([by_metadata, by_runtime, neither], says("", *calls), says("done"))
    with Runtime(sqlite_url, policies={"by_runtime": ToolPolicy(effect="idempotent")}) as runtime:
        durable_graph(graph, runtime, name="agent").invoke(GO, CONFIG)
        assert steps(runtime, "step_started") == ["neither"]


class Broken(Exception):
    pass


def broken() -> Any:
    @langchain_tool
    def breaks(n: int) -> str:
        """Break."""
        raise Broken(f"no {n}")

    return breaks


@pytest.mark.parametrize(
    "handling",
    [True, "told", lambda exc: f"sorry: {exc}", (Broken,)],
    ids=["true", "text", "function", "types"],
)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_handled_error_becomes_the_same_message_and_is_recorded_as_a_failure(runtime, handling, is_async):
    graph = agent([broken()], says("", call("breaks", "c1", n=1)), says("done"), handle_tool_errors=handling)
    bare, wrapped = graph.compile(), durable_graph(graph, runtime, name="agent")
    found = await wrapped.ainvoke(GO, CONFIG) if is_async else wrapped.invoke(GO, CONFIG)
    assert contents(found) == contents(bare.invoke(GO))
    assert found["messages"][2].status == "error"
    assert steps(runtime, "step_failed") == ["breaks"]


@pytest.mark.parametrize("handling", [True, (Broken,)], ids=["true", "types"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_handled_error_is_the_same_message_on_a_replay(runtime, ledger, handling, is_async):
    @langchain_tool
    def breaks(n: int) -> str:
        """Break."""
        ledger.did("breaks")
        raise Broken(f"no {n}")

    failing = [True]

    def build(ledger):
        graph = agent([breaks], says("", call("breaks", "c1", n=1)), says("done"), handle_tool_errors=handling)
        inner = graph.nodes["tools"].runnable
        seen.clear()

        def after(state):
            seen.extend(found := inner.invoke(state)["messages"])
            if failing:
                raise ConnectionError
            return {"messages": found}

        async def aafter(state):
            seen.extend(found := (await inner.ainvoke(state))["messages"])
            if failing:
                raise ConnectionError
            return {"messages": found}

        graph.nodes.pop("tools")
        graph.add_node("tools", aafter if is_async else after)
        return graph

    seen: list[Any] = []
    wrapped = durable_graph(build(ledger), runtime, name="agent")
    with pytest.raises(ConnectionError):
        await wrapped.ainvoke(GO, CONFIG) if is_async else wrapped.invoke(GO, CONFIG)
    failing.clear()
    await wrapped.ainvoke(None, CONFIG) if is_async else wrapped.invoke(None, CONFIG)
    first, again = seen
    assert (again.content, again.status, again.tool_call_id) == (first.content, "error", "c1")
    assert "Broken('no 1')" in first.content
    assert ledger.counts() == {"breaks": 1}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_an_error_that_is_not_handled_fails_the_execution_with_that_error(runtime, is_async):
    graph = agent([broken()], says("", call("breaks", "c1", n=1)), handle_tool_errors=False)
    wrapped = durable_graph(graph, runtime, name="agent")
    with pytest.raises(Broken, match="no 1"):
        await wrapped.ainvoke(GO, CONFIG) if is_async else wrapped.invoke(GO, CONFIG)
    [execution] = runtime.executions()
    assert (execution.status, execution.error["type"]) == ("failed", "Broken")


def test_a_tool_exception_that_the_tool_handles_itself_is_a_result(runtime):
    def refuse(n: int) -> str:
        """Refuse."""
        raise ToolException(f"not {n}")

    made = StructuredTool.from_function(refuse, handle_tool_error=True)
    graph = agent([made], says("", call("refuse", "c1", n=1)), says("done"))
    found = durable_graph(graph, runtime, name="agent").invoke(GO, CONFIG)
    assert contents(found) == contents(graph.compile().invoke(GO))
    assert "refuse" in steps(runtime)


def test_arguments_that_do_not_fit_and_names_that_are_unknown_are_told_to_the_model(runtime, ledger):
    @langchain_tool
    def book(day: int) -> str:
        """Book."""
        return ledger.did("book")

    lines = [says("", call("book", "c1", day="soon"), call("nothing", "c2")), says("done")]
    graph = agent([book], *lines)
    found = durable_graph(graph, runtime, name="agent").invoke(GO, CONFIG)
    assert contents(found) == contents(graph.compile().invoke(GO))
    assert [message.status for message in found["messages"][2:4]] == ["error", "error"]
    assert ledger.counts() == {}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_two_calls_with_the_same_id_in_one_message_both_run_once(runtime, ledger, is_async):
    @langchain_tool
    def book(day: int) -> str:
        """Book."""
        return ledger.did(f"book {day}")

    twice = says("", call("book", "same", day=1), call("book", "same", day=2), call("book", "same", day=2))
    graph = agent([book], twice, says("done"))
    wrapped = durable_graph(graph, runtime, name="agent")
    found = await wrapped.ainvoke(GO, CONFIG) if is_async else wrapped.invoke(GO, CONFIG)
    assert [message.content for message in found["messages"][2:5]] == ["book 1 done", "book 2 done", "book 2 done"]
    assert ledger.counts() == {"book 1": 1, "book 2": 2}
    assert runtime.interrupts() == []


def test_content_artifacts_and_commands_from_tools_reach_the_state(runtime):
    class State(MessagesState):
        notes: Annotated[list[str], operator.add]

    @langchain_tool(response_format="content_and_artifact")
    def draw(size: int) -> tuple[str, dict[str, int]]:
        """Draw."""
        return "drawn", {"size": size}

    @langchain_tool
    def note(text: str, call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
        """Note."""
        return Command(update={"notes": [text], "messages": [ToolMessage("noted", tool_call_id=call_id)]})

    lines = [says("", call("draw", "c1", size=2), call("note", "c2", text="hello")), says("done")]
    graph = agent([draw, note], *lines, schema=State)
    found = durable_graph(graph, runtime, name="agent").invoke(GO, CONFIG)
    expected = graph.compile().invoke(GO)
    assert contents(found) == contents(expected)
    assert found["notes"] == expected["notes"] == ["hello"]
    assert found["messages"][2].artifact == {"size": 2}


class Heard(BaseCallbackHandler):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_tool_start(self, serialized, input_str, **_):
        self.heard.append(f"start {serialized['name']} {input_str}")

    def on_tool_end(self, output, **_):
        self.heard.append(f"end {output.content}")

    def on_chat_model_start(self, *_, **__):
        self.heard.append("model")

    def on_llm_end(self, *_, **__):
        self.heard.append("model end")


def test_callbacks_hear_what_they_hear_of_the_bare_graph(runtime):
    @langchain_tool
    def book(day: int) -> str:
        """Book."""
        return f"booked {day}"

    graph = agent([book], says("", call("book", "c1", day=1)), says("done"))
    expected, heard = Heard(), Heard()
    graph.compile().invoke(GO, {"callbacks": [expected]})
    durable_graph(graph, runtime, name="agent").invoke(GO, {**CONFIG, "callbacks": [heard]})
    assert heard.heard == expected.heard
    assert "start book {'day': 1}" in heard.heard


class Log(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


def test_tools_called_by_hand_are_steps_with_numbers_or_by_their_call_id(runtime, ledger):
    @langchain_tool
    def book(day: int) -> str:
        """Book."""
        return ledger.did(f"book {day}")

    def node(_):
        return {
            "log": [
                book.invoke({"day": 1}),
                book.invoke({"day": 1}),
                book.invoke(call("book", "c9", day=2)).content,
                book.run({"day": 3}),
                *book.batch([{"day": 4}, {"day": 5}]),
            ]
        }

    graph = StateGraph(Log)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    wrapped = durable_graph(graph, runtime, name="app")
    found = wrapped.invoke({}, CONFIG)
    assert found["log"] == graph.compile().invoke({})["log"]
    [execution] = runtime.executions()
    history = runtime.get(execution.id).history()
    done = [record.step_key.partition("/")[2] for record in history if record.payload.get("name") == "book"]
    assert set(done) == {"book#1", "book#2", "tool:c9", "book#3", "book#4", "book#5"}


async def test_tools_called_by_hand_asynchronously_are_steps_too(runtime, ledger):
    @langchain_tool
    async def book(day: int) -> str:
        """Book."""
        return ledger.did(f"book {day}")

    async def node(_):
        both = await asyncio.gather(*(book.ainvoke({"day": day}) for day in (1, 2)))
        return {"log": [*both, (await book.ainvoke(call("book", "c9", day=3))).content]}

    graph = StateGraph(Log)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    found = await durable_graph(graph, runtime, name="app").ainvoke({}, CONFIG)
    assert found["log"] == ["book 1 done", "book 2 done", "book 3 done"]
    assert steps(runtime).count("book") == 3


@pytest.mark.parametrize("effect", ["once", "read"])
def test_a_node_may_have_the_name_of_the_tool_it_calls(sqlite_url, ledger, effect):
    @langchain_tool
    def book(day: int) -> str:
        """Book."""
        return ledger.did(f"book {day}")

    @durable_tool(effect="once")
    def pay(state: Log) -> Log:
        return {"log": [ledger.did("pay")]}

    graph = StateGraph(Log)
    graph.add_node("book", lambda _: {"log": [book.invoke({"day": 1})]})
    graph.add_node("pay", pay)
    graph.add_edge(START, "book")
    graph.add_edge("book", "pay")
    with Runtime(sqlite_url, policies={"book": ToolPolicy(effect=effect)} if effect == "read" else {}) as runtime:
        assert durable_graph(graph, runtime, name="app").invoke({}, CONFIG)["log"] == ["book 1 done", "pay done"]
        assert steps(runtime) == ["book", "book", "pay", "pay"]
        assert steps(runtime, "step_started") == ["pay"] if effect == "read" else ["book", "pay"]


def test_a_plain_tool_outside_of_executions_stays_plain(runtime, ledger):
    @langchain_tool
    def book(day: int) -> str:
        """Book."""
        return ledger.did(f"book {day}")

    graph = agent([book], says("", call("book", "c1", day=1)), says("done"))
    durable_graph(graph, runtime, name="agent")
    assert book.invoke({"day": 1}) == "book 1 done"
    assert plain(graph.compile().invoke(GO)["messages"][2].content) == "'book 1 done'"
    assert runtime.executions() == []
    assert END


def test_the_arguments_a_model_left_out_are_seen_by_whoever_decides(runtime, ledger):
    @durable_tool(approval=Approval(when=lambda arguments: arguments["currency"] == "EUR"))
    @langchain_tool
    def pay(amount: int, currency: str = "EUR", note: str | None = None) -> str:
        """Pay."""
        return ledger.did(f"pay {amount} {currency} {note}")

    graph = agent([pay], says("", call("pay", "c1", amount=5)), says("done"))
    wrapped = durable_graph(graph, runtime, name="agent")
    wrapped.invoke(GO, CONFIG)
    (question,) = runtime.interrupts()
    assert question.arguments == {"amount": 5, "currency": "EUR", "note": None}
    runtime.decide(question.id, Decision.edit({**question.arguments, "amount": 4}), by="alice")
    wrapped.invoke(None, CONFIG)
    assert ledger.counts() == {"pay 4 EUR None": 1}
