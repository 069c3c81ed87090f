"""The edges of the OpenAI Agents SDK: its options, sessions, contexts, servers and models that fail for a moment."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Any

import httpx
import openai
import pytest
from agents import Agent, RunConfig, RunContextWrapper, RunHooks, SQLiteSession, function_tool
from agents.mcp import MCPServer
from agents.memory import OpenAIResponsesCompactionSession
from agents.memory.session import _session_method_accepts_wrapper
from agents.testing import ModelStep, ScriptedModel, assistant_message
from mcp.types import CallToolResult, ListPromptsResult, TextContent
from mcp.types import Tool as McpTool
from pydantic import BaseModel

from durable import Runtime, ToolPolicy
from durable.adapters.openai_agents import DurableSession, durable_agent
from durable.adapters.openai_agents.state.other_sessions import ForeignSession
from durable.errors import ExecutionFailed
from tests.adapters.openai_world import Ledger, Model, acting, agent, answers_in, call, killed


def test_what_an_agent_was_wrapped_with_holds_in_run_sync_too(runtime, ledger):
    class Hooks(RunHooks[Any]):
        async def on_tool_start(self, *_: Any) -> None:
            ledger.did("hook")

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    bare = agent("app", Model([call("act", "c1", what="a")], "done"), acting(ledger))
    durable_agent(bare, runtime, hooks=Hooks()).run_sync("go")
    asyncio.set_event_loop(None)
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert ledger.counts() == {"hook": 1, "a": 1}


def said(*output: Any) -> ModelStep:
    """An answer whose messages have the id that chat-completions models give to all."""
    for item in output:
        if getattr(item, "type", "") == "message":
            item.id = "__fake_id__"
    return ModelStep(output=list(output))


def test_an_answer_that_is_said_again_after_an_approval_stays_in_the_session(runtime, ledger):
    moment = "One moment."
    steps = [
        said(assistant_message(moment), call("pay", "c1", what="a")),
        said(assistant_message(moment), call("act", "c2", what="b")),
        said(assistant_message("Done.")),
    ]
    tools = acting(ledger, "pay", needs_approval=True), acting(ledger)
    session = DurableSession("s", runtime)
    durable = durable_agent(agent("app", ScriptedModel(steps), *tools), runtime)

    async def talk() -> list[Any]:
        result = await durable.run("go", session=session)
        state = result.to_state()
        state.approve(result.interruptions[0])
        await durable.run(state, session=session)
        return await session.get_items()

    texts = [item["content"][0]["text"] for item in asyncio.run(talk()) if item.get("type") == "message"]
    assert texts == [moment, moment, "Done."]


def test_a_state_goes_on_after_its_sessions_write_has_failed(runtime, ledger):
    class Flaky(SQLiteSession):
        fails = False

        async def add_items(self, items: Any) -> None:
            if self.fails and any(item.get("type") == "function_call_output" for item in items):
                self.fails = False
                msg = "the session's server is away"
                raise RuntimeError(msg)
            await super().add_items(items)

    session = Flaky("s")
    bare = agent("app", Model([call("pay", "c1", what="a")], "done"), acting(ledger, "pay", needs_approval=True))
    durable = durable_agent(bare, runtime)

    async def talk() -> Any:
        result = await durable.run("go", session=session)
        state = result.to_state()
        state.approve(result.interruptions[0])
        session.fails = True
        with pytest.raises(RuntimeError, match="away"):
            await durable.run(state, session=session)
        again = await durable.run(state, session=session)
        return again.final_output, [item.get("type") or item.get("role") for item in await session.get_items()]

    kinds = ["user", "function_call", "function_call_output", "message"]
    try:
        assert asyncio.run(talk()) == ("done", kinds)
    finally:
        session.close()
    assert ledger.counts() == {"a": 1}


def test_a_session_of_others_is_asked_with_its_own_signature(runtime):
    class Plain(SQLiteSession):
        pass

    class Tenants(SQLiteSession):
        saw: tuple[str, ...] = ()

        async def get_items(self, limit: int | None = None, *, wrapper: Any = None) -> Any:
            self.saw += ("get " + wrapper.context["tenant"],)
            return await super().get_items(limit)

        async def add_items(self, items: Any, *, wrapper: Any = None) -> None:
            self.saw += ("add " + wrapper.context["tenant"],)
            await super().add_items(items)

        async def pop_item(self, *, wrapper: Any = None) -> Any:
            return await super().pop_item()

        async def clear_session(self, *, wrapper: Any = None) -> None:
            await super().clear_session()

    sessions = Plain("p"), Tenants("t")
    durable = durable_agent(agent("app", Model("done")), runtime)
    try:
        for session in sessions:
            asyncio.run(durable.run("go", session=session, context={"tenant": "acme"}))
    finally:
        for session in sessions:
            session.close()
    assert {*sessions[1].saw} == {"get acme", "add acme"}


def test_a_compaction_gets_the_context_of_its_run():
    inside = OpenAIResponsesCompactionSession.__new__(OpenAIResponsesCompactionSession)
    assert _session_method_accepts_wrapper(inside.run_compaction)
    assert _session_method_accepts_wrapper(ForeignSession(inside).run_compaction)


class Away(ScriptedModel):
    """A model to which there is no connection for the first time."""

    def __init__(self, ledger: Any, error: Exception) -> None:
        def answer(asked: Any) -> ModelStep:
            if answers_in(asked.input) == 0:
                return ModelStep(output=[call("act", "c1", what="a")])
            ledger.did("asked")
            if ledger.counts()["asked"] == 1:
                raise error
            return ModelStep(output=[assistant_message("done")])

        super().__init__([ModelStep.respond(answer) for _ in range(9)])


def test_the_same_call_takes_up_what_failed_by_something_that_passes(runtime, ledger):
    gone = openai.APIConnectionError(request=httpx.Request("POST", "http://model"))
    durable = durable_agent(agent("app", Away(ledger, gone), acting(ledger)), runtime)
    with pytest.raises(openai.APIConnectionError):
        asyncio.run(durable.run("go", execution_id="e"))
    assert runtime.get("e").status == "failed"
    assert asyncio.run(durable.run("go", execution_id="e")).final_output == "done"
    assert ledger.counts() == {"a": 1, "asked": 2}


def test_the_same_call_does_not_take_up_what_failed_for_good(runtime, ledger):
    durable = durable_agent(agent("app", Away(ledger, ValueError("no such model")), acting(ledger)), runtime)
    with pytest.raises(ValueError, match="no such model"):
        asyncio.run(durable.run("go", execution_id="e"))
    with pytest.raises(ExecutionFailed, match="no such model"):
        asyncio.run(durable.run("go", execution_id="e"))
    assert ledger.counts() == {"a": 1, "asked": 1}


class Shop(MCPServer):
    def __init__(self, ledger: Any) -> None:
        super().__init__()
        self.ledger, self.away = ledger, False

    name = "shop"

    async def connect(self) -> None: ...

    async def cleanup(self) -> None: ...

    async def list_tools(self, *_: Any, **__: Any) -> Any:
        self.ledger.did("listed")
        if self.away:
            msg = "the server restarts"
            raise ConnectionError(msg)
        return [McpTool.model_validate({"name": "look", "inputSchema": {"type": "object", "properties": {}}})]

    async def call_tool(self, *_: Any, **__: Any) -> Any:
        self.ledger.did("looked")
        return CallToolResult(content=[TextContent(type="text", text="3 left")])

    async def list_prompts(self) -> Any:
        return ListPromptsResult(prompts=[])

    async def get_prompt(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


def test_what_has_ended_is_read_without_its_mcp_server(runtime, ledger):
    shop = Shop(ledger)
    bare = Agent(name="app", model=Model([call("look", "c1")], "done"), mcp_servers=[shop])
    durable = durable_agent(bare, runtime)
    asyncio.run(durable.run("go", execution_id="e"))
    shop.away = True
    assert asyncio.run(durable.run("go", execution_id="e")).final_output == "done"
    assert ledger.counts() == {"listed": 2, "looked": 1}
    lists = [r for r in runtime.get("e").history() if "list_tools" in (r.step_key or "")]
    assert len(lists) == 2


@dataclasses.dataclass
class Trip:
    seat: str = ""


class Stay(BaseModel):
    seat: str = ""


CONTEXTS = [dict, Trip, Stay]


def travelling(ledger: Any) -> Agent[Any]:
    @function_tool
    def choose(context: RunContextWrapper[Any], seat: str) -> str:
        """Choose a seat."""
        if isinstance(context.context, dict):
            context.context["seat"] = seat
        else:
            context.context.seat = seat
        return "chosen"

    @function_tool
    def book(context: RunContextWrapper[Any]) -> str:
        """Book it."""
        here = context.context
        ledger.did("booking")
        return ledger.did(f"booked {here['seat'] if isinstance(here, dict) else here.seat}")

    turns = [[call("choose", "c1", seat="12A")], [call("book", "c2")], "done"]
    return agent("app", Model(*turns), choose, book)


@pytest.mark.parametrize("kind", CONTEXTS)
def test_what_a_tool_wrote_into_the_context_is_there_after_a_crash(sqlite_url, ledger, kind):
    policies = {"book": ToolPolicy(effect="idempotent")}

    def process(world: Ledger) -> Any:
        with Runtime(sqlite_url, types=[Trip, Stay], policies=policies) as runtime:
            durable = durable_agent(travelling(world), runtime)
            return asyncio.run(durable.run("go", execution_id="e", context=kind()))

    killed(lambda: process(Ledger(ledger.path, die_at="booking")))
    context = process(ledger).context_wrapper.context
    assert ledger.counts()["booked 12A"] == 1
    assert (context["seat"] if kind is dict else context.seat) == "12A"


def test_a_context_that_cannot_be_followed_is_named(runtime, caplog):
    class Desk:
        pass

    durable = durable_agent(agent("app", Model("done")), runtime)
    with caplog.at_level(logging.WARNING):
        asyncio.run(durable.run("go", context=Desk()))
    assert "Desk" in caplog.text


class Stock(BaseModel):
    units: int


def test_the_result_of_a_tool_comes_back_with_the_type_it_declares(runtime, ledger):
    @function_tool
    def look() -> Stock:
        """Look."""
        ledger.did("looked")
        return Stock(units=3)

    durable = durable_agent(agent("app", Model([call("look", "c1")], "done"), look), runtime)
    config = RunConfig(tracing_disabled=True)
    outputs = []
    for _ in range(2):
        result = asyncio.run(durable.run("go", execution_id="e", run_config=config))
        outputs.append([item.output for item in result.new_items if item.type == "tool_call_output_item"])
    assert outputs == [[Stock(units=3)]] * 2
    assert ledger.counts() == {"looked": 1}
