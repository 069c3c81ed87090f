"""Prebuilt agents, with their middleware, give what they give bare, and their calls are recorded."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ModelFallbackMiddleware,
    ToolCallLimitMiddleware,
    ToolRetryMiddleware,
    after_model,
    before_model,
    wrap_model_call,
    wrap_tool_call,
)
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool as langchain_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import create_react_agent
from langgraph.types import Command
from pydantic import BaseModel

from durable import Decision, Runtime, ToolPolicy
from durable.adapters.langgraph import durable_graph
from tests.adapters.langgraph_world import Ledger, Scripted, call, contents, killed, plain, says

CONFIG: Any = {"configurable": {"thread_id": "t"}}
GO = {"messages": [("user", "go")]}
LINES = [says("", call("look", "l1", n=1), call("act", "a1", n=2)), says("then", call("look", "l2", n=3)), says("done")]


@pytest.fixture
def tools(ledger):
    @langchain_tool
    def look(n: int) -> str:
        """Look."""
        return ledger.did(f"look {n}")

    @langchain_tool
    def act(n: int) -> str:
        """Act."""
        return ledger.did(f"act {n}")

    return [look, act]


def names(runtime, kind="step_done"):
    [execution] = runtime.executions()
    return [record.payload["name"] for record in runtime.get(execution.id).history() if record.kind == kind]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_create_react_agent_gives_the_same_messages_and_chunks(runtime, ledger, tools, version, is_async):
    built = create_react_agent(Scripted(lines=LINES), tools, version=version, prompt="be brief")
    wrapped = durable_graph(built, runtime, name="agent")
    if is_async:
        found, expected = await wrapped.ainvoke(GO, CONFIG), await built.ainvoke(GO)
    else:
        found, expected = wrapped.invoke(GO, CONFIG), built.invoke(GO)
    assert contents(found) == contents(expected)
    assert ledger.counts() == {"look 1": 2, "act 2": 2, "look 3": 2}
    done = names(runtime)
    assert (done.count("chat:scripted"), done.count("look"), done.count("act")) == (3, 2, 1)
    if not is_async:
        config: Any = {"configurable": {"thread_id": "u"}}
        chunks = plain(list(built.stream(GO, stream_mode="updates")))
        assert sorted(plain(list(wrapped.stream(GO, config, stream_mode="updates")))) == sorted(chunks)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_create_agent_gives_the_same_messages(runtime, ledger, tools, is_async):
    built = create_agent(Scripted(lines=LINES), tools, system_prompt="be brief", name="helper")
    wrapped = durable_graph(built, runtime)
    if is_async:
        found, expected = await wrapped.ainvoke(GO, CONFIG), await built.ainvoke(GO)
    else:
        found, expected = wrapped.invoke(GO, CONFIG), built.invoke(GO)
    assert contents(found) == contents(expected)
    assert [message.name for message in found["messages"]] == [message.name for message in expected["messages"]]
    assert ledger.counts() == {"look 1": 2, "act 2": 2, "look 3": 2}
    assert runtime.apps == ("helper",)


class Weather(BaseModel):
    city: str
    degrees: int


def test_structured_output_of_a_react_agent_keeps_its_type(runtime, tools):
    class Structured(Scripted):
        def with_structured_output(self, schema, **_):
            return RunnableLambda(lambda _: schema(city="Oslo", degrees=4))

    built = create_react_agent(Structured(lines=LINES), tools, response_format=("sum up", Weather))
    found = durable_graph(built, runtime, name="agent").invoke(GO, CONFIG)
    assert found["structured_response"] == Weather(city="Oslo", degrees=4)


def test_structured_output_keeps_its_type(runtime, tools):
    lines = [says("", call("look", "l1", n=1)), says("", call("Weather", "w1", city="Oslo", degrees=4))]
    built = create_agent(Scripted(lines=lines), tools, response_format=ToolStrategy(Weather))
    wrapped = durable_graph(built, runtime, name="agent")
    found = wrapped.invoke(GO, CONFIG)
    assert found["structured_response"] == Weather(city="Oslo", degrees=4)
    assert contents(found) == contents(built.invoke(GO))
    assert runtime.executions()[0].output["structured_response"] == Weather(city="Oslo", degrees=4)
    assert wrapped.get_state(CONFIG).values["structured_response"] == Weather(city="Oslo", degrees=4)


class Counting(AgentMiddleware):
    """Counts its hooks in the state; with synchronous and asynchronous forms."""

    class State(AgentState):
        count: int

    state_schema = State

    def __init__(self, heard):
        super().__init__()
        self.heard = heard

    def before_agent(self, state, runtime):
        self.heard.append("before agent")
        return {"count": 0}

    def before_model(self, state, runtime):
        return {"count": state["count"] + 1}

    def wrap_model_call(self, request, handler):
        self.heard.append("model")
        return handler(request.override(system_prompt="other"))

    async def awrap_model_call(self, request, handler):
        self.heard.append("model")
        return await handler(request.override(system_prompt="other"))

    def wrap_tool_call(self, request, handler):
        self.heard.append(f"tool {request.tool_call['name']}")
        found = handler(request)
        return found.model_copy(update={"content": found.content + "!"})

    async def awrap_tool_call(self, request, handler):
        self.heard.append(f"tool {request.tool_call['name']}")
        found = await handler(request)
        return found.model_copy(update={"content": found.content + "!"})


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_middleware_of_every_kind_is_kept(runtime, tools, is_async):
    def build(heard):
        @wrap_tool_call
        def outer(request, handler):
            return handler(request)

        @before_model
        def note(state, runtime):
            heard.append("noted")

        @after_model(can_jump_to=["end"])
        def stop(state, runtime):
            return {"jump_to": "end"} if state["count"] == 2 else None

        middleware = [Counting(heard), note, stop] + ([] if is_async else [outer])
        return create_agent(Scripted(lines=LINES), tools, middleware=middleware)

    bare, heard = [], []
    built = build(heard)
    wrapped = durable_graph(built, runtime, name="agent")
    if is_async:
        found, expected = await wrapped.ainvoke(GO, CONFIG), await build(bare).ainvoke(GO)
    else:
        found, expected = wrapped.invoke(GO, CONFIG), build(bare).invoke(GO)
    assert contents(found) == contents(expected)
    assert sorted(heard) == sorted(bare)
    assert found["count"] == expected["count"] == 2


def test_a_middleware_that_answers_instead_of_the_tool_runs_no_step(runtime, ledger, tools):
    @wrap_tool_call
    def cached(request, handler):
        if request.tool_call["name"] == "act":
            return ToolMessage("from the cache", tool_call_id=request.tool_call["id"])
        return handler(request)

    built = create_agent(Scripted(lines=LINES), tools, middleware=[cached])
    found = durable_graph(built, runtime, name="agent").invoke(GO, CONFIG)
    assert "from the cache" in [message.content for message in found["messages"]]
    assert ledger.counts() == {"look 1": 1, "look 3": 1}


@pytest.mark.parametrize("effect", ["read", "once"])
def test_a_middleware_that_retries_repeats_what_may_be_repeated_and_nothing_else(sqlite_url, ledger, effect):
    from durable import current

    @langchain_tool
    def flaky(n: int) -> str:
        """Flaky."""
        ledger.did("tried", current().idempotency_key)
        if len(ledger.lines()) < 3:
            raise ConnectionError("busy")
        return "worked"

    retry = ToolRetryMiddleware(max_retries=3, initial_delay=0.0, jitter=False)
    built = create_agent(
        Scripted(lines=[says("", call("flaky", "f1", n=1)), says("done")]), [flaky], middleware=[retry]
    )
    with Runtime(sqlite_url, policies={"flaky": ToolPolicy(effect=effect)}) as runtime:
        found = durable_graph(built, runtime, name="agent").invoke(GO, CONFIG)
    message = found["messages"][2]
    if effect == "read":
        assert (message.content, ledger.counts()) == ("worked", {"tried": 3})
        assert len(set(ledger.keys("tried"))) == 1
    else:
        assert (message.status, ledger.counts()) == ("error", {"tried": 1})


def test_limits_and_fallbacks_work(runtime, ledger, tools):
    class Down(Scripted):
        def _generate(self, *_, **__):
            raise ConnectionError("down")

    fallback = ModelFallbackMiddleware(Scripted(lines=LINES, model_name="other"))
    limit = ToolCallLimitMiddleware(tool_name="look", run_limit=1)
    built = create_agent(Down(lines=[]), tools, middleware=[fallback, limit])
    found = durable_graph(built, runtime, name="agent").invoke(GO, CONFIG)
    assert contents(found) == contents(built.invoke(GO))
    assert ledger.counts() == {"look 1": 2, "act 2": 2}
    assert names(runtime, "step_failed") == ["chat:scripted"] * 3


def test_a_model_chosen_by_the_middleware_is_recorded_under_its_own_name(runtime, tools):
    other = Scripted(lines=LINES, model_name="large")

    @wrap_model_call
    def choose(request, handler):
        return handler(request.override(model=other) if len(request.messages) > 1 else request)

    built = create_agent(Scripted(lines=LINES, model_name="small"), tools, middleware=[choose])
    durable_graph(built, runtime, name="agent").invoke(GO, CONFIG)
    assert [name for name in names(runtime) if name.startswith("chat")] == ["chat:small", "chat:large", "chat:large"]


def human(mode: Any = "batched") -> HumanInTheLoopMiddleware:
    return HumanInTheLoopMiddleware(interrupt_on={"act": True}, interrupt_mode=mode)


@pytest.mark.parametrize("mode", ["batched", "per_call"])
@pytest.mark.parametrize("decision", ["approve", "edit", "reject"])
def test_human_in_the_loop_middleware_works_by_command_resume(runtime, ledger, tools, mode, decision):
    answer = {
        "approve": {"type": "approve"},
        "edit": {"type": "edit", "edited_action": {"name": "act", "args": {"n": 22}}},
        "reject": {"type": "reject", "message": "no"},
    }[decision]
    resume = Command(resume={"decisions": [answer]} if mode == "batched" else answer)
    built = create_agent(Scripted(lines=LINES), tools, middleware=[human(mode)], checkpointer=InMemorySaver())
    built.invoke(GO, CONFIG)
    expected, bare = built.invoke(resume, CONFIG), ledger.counts()
    wrapped = durable_graph(built, runtime, name="agent")
    assert "act" in str(wrapped.invoke(GO, CONFIG)["__interrupt__"][0].value)
    [row] = runtime.interrupts()
    assert row.kind == "question"
    assert contents(wrapped.invoke(resume, CONFIG)) == contents(expected)
    assert ledger.counts() == {what: times * 2 for what, times in bare.items()}


def test_human_in_the_loop_middleware_can_be_answered_from_the_inbox(runtime, ledger, tools):
    built = create_agent(Scripted(lines=LINES), tools, middleware=[human()])
    wrapped = durable_graph(built, runtime, name="agent")
    wrapped.invoke(GO, CONFIG)
    [row] = runtime.interrupts()
    runtime.decide(row.id, Decision.respond({"decisions": [{"type": "approve"}]}), by="alice")
    [result] = runtime.recover()
    assert (result.status, contents(result.output)[-1]) == ("succeeded", ("ai", "done"))
    assert ledger.counts() == {"look 1": 1, "act 2": 1, "look 3": 1}


def test_an_agent_is_a_tool_of_another_agent(runtime, ledger, tools):
    inner = create_agent(Scripted(lines=LINES, model_name="inner"), tools)

    @langchain_tool
    def delegate(what: str) -> str:
        """Delegate."""
        return inner.invoke({"messages": [("user", what)]})["messages"][-1].content

    outer = create_agent(Scripted(lines=[says("", call("delegate", "d1", what="x")), says("all done")]), [delegate])
    wrapped = durable_graph(outer, runtime, name="outer")
    assert contents(wrapped.invoke(GO, CONFIG))[-2:] == [("tool", "done"), ("ai", "all done")]
    assert ledger.counts() == {"look 1": 1, "act 2": 1, "look 3": 1}
    keys = [
        record.step_key for record in runtime.get(runtime.executions()[0].id).history() if record.kind == "step_done"
    ]
    inside = [key.partition("/tool:d1/")[2] for key in keys]
    assert sum("tool:" in key for key in inside) == 3
    assert sum("chat:inner#1" in key for key in inside) == 3


def test_the_same_agent_can_be_wrapped_for_two_runtimes(tmp_path, tools):
    built = create_agent(Scripted(lines=LINES), tools)
    for name in ("one", "two"):
        with Runtime(f"sqlite:///{tmp_path / name}.db") as runtime:
            found = durable_graph(built, runtime, name="agent").invoke(GO, CONFIG)
            assert isinstance(found["messages"][-1], AIMessage)
            assert runtime.executions()[0].status == "succeeded"


def test_a_worker_goes_on_in_the_way_the_agent_was_called(sqlite_url, tmp_path):
    def build(ledger):
        @wrap_tool_call
        async def async_only(request, handler):
            return await handler(request)

        @langchain_tool
        def act(n: int) -> str:
            """Act."""
            return ledger.did(f"act {n}")

        lines = [says("", call("act", "a1", n=1)), says("", call("act", "a2", n=2)), says("done")]
        return create_agent(Scripted(lines=lines), [act], middleware=[async_only])

    policies = {"act": ToolPolicy(effect="idempotent")}

    async def live():
        with Runtime(sqlite_url, policies=policies) as runtime:
            graph = durable_graph(build(Ledger(tmp_path / "ledger", "act 2")), runtime, name="agent")
            return await graph.ainvoke(GO, CONFIG)

    killed(live)
    with Runtime(sqlite_url, policies=policies) as runtime:
        durable_graph(build(Ledger(tmp_path / "ledger")), runtime, name="agent")
        [result] = runtime.recover()
    assert (result.status, contents(result.output)[-1]) == ("succeeded", ("ai", "done"))
    assert Ledger(tmp_path / "ledger").counts() == {"act 1": 1, "act 2": 2}
