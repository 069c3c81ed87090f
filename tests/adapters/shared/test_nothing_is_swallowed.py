"""What is ours reaches no error handler of a framework: after an effect nobody tells the model "please try again".

Every agent here has the handler its framework offers, and a model that pays again when it is told of a failure.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from agents import Agent, RunConfig, function_tool
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from google.adk.agents import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.genai import types
from langchain_core.messages import AIMessage
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import RetryPolicy

from durable import Runtime, ToolPolicy
from durable.adapters.google_adk import durable_runner
from durable.adapters.langgraph import durable_graph
from durable.adapters.openai_agents import durable_agent
from durable.checkpoint.journal.journal import Journal
from durable.errors import DatabaseBusy, LeaseLost, PayloadTooLarge, ResultLost, Unsupported
from durable.live import crossing
from tests.adapters.langgraph_world import Ledger
from tests.templates import *  # noqa: F403 - fixtures

AGAIN = "went wrong, please try again"
MOST = 4
"""Times the model pays at most."""


class Outside:
    """What is paid; its model pays until it hears that it was paid."""

    def __init__(self, ledger, result="paid"):
        self.ledger, self.result, self.ids = ledger, result, itertools.count()

    @property
    def paid(self):
        return self.ledger.counts().get("paid", 0)

    def pay(self):
        self.ledger.did("paid")
        return self.result

    def next_call(self, results):
        """Return the id of the next call, None if the model has done."""
        if results and AGAIN not in str(results[-1]):
            return None
        self.ledger.did("asked")
        return None if len(results) == MOST else f"c{next(self.ids)}"


class ToolGraph:
    """A ToolNode that tells the model of errors."""

    def __init__(self, outside, runtime):
        def pay() -> str:
            """Pay."""
            return outside.pay()

        def model(state):
            call = outside.next_call([m.content for m in state["messages"] if m.type == "tool"])
            calls = [] if call is None else [{"name": "pay", "args": {}, "id": call}]
            return {"messages": [AIMessage("" if calls else "done", tool_calls=calls)]}

        graph = StateGraph(MessagesState)
        graph.add_node("model", model).add_node("tools", ToolNode([pay], handle_tool_errors=AGAIN))
        graph.add_edge(START, "model").add_conditional_edges("model", tools_condition).add_edge("tools", "model")
        self.agent = durable_graph(graph, runtime, name="app")

    def run(self):
        self.agent.invoke({"messages": [("user", "go")]}, {"configurable": {"thread_id": "t"}}, execution_id="e")


class AsyncToolGraph(ToolGraph):
    def run(self):
        given, thread = {"messages": [("user", "go")]}, {"configurable": {"thread_id": "t"}}

        async def listen():
            async for _ in self.agent.astream(given, thread, execution_id="e"):
                pass

        asyncio.run(listen())


RETRIED = RetryPolicy(max_attempts=MOST, retry_on=Exception, initial_interval=0.001, jitter=False)


class TaskGraph:
    """A task that LangGraph tries again, whatever it raised."""

    def __init__(self, outside, runtime):
        @task(retry_policy=RETRIED)
        def pay():
            return outside.pay()

        @entrypoint()
        def whole(_):
            return pay().result()

        self.agent = durable_graph(whole, runtime, name="app")

    def run(self):
        self.agent.invoke("go", {"configurable": {"thread_id": "t"}}, execution_id="e")


class Sdk:
    """A function tool, with the SDK's handler of failures."""

    def __init__(self, outside, runtime):
        @function_tool(failure_error_function=lambda *_: AGAIN)
        async def pay() -> str:
            """Pay."""
            return outside.pay()

        def turn(asked):
            items = [] if isinstance(asked.input, str) else asked.input
            call = outside.next_call([item["output"] for item in items if item.get("type") == "function_call_output"])
            return ModelStep(
                output=[assistant_message("done") if call is None else function_call("pay", {}, call_id=call)]
            )

        bare = Agent(name="app", model=ScriptedModel([ModelStep.respond(turn)] * 9), tools=[pay])
        self.agent = durable_agent(bare, runtime, run_config=RunConfig(tracing_disabled=True))

    def run(self):
        asyncio.run(self.agent.run("go", execution_id="e"))


class StreamedSdk(Sdk):
    def run(self):
        async def listen():
            async for _ in self.agent.run_streamed("go", execution_id="e").stream_events():
                pass

        asyncio.run(listen())


class AdkModel(BaseLlm):
    model: str = "payer"
    outside: Any = None

    async def generate_content_async(self, llm_request, stream=False):
        parts = [part.function_response for content in llm_request.contents for part in content.parts or ()]
        call = self.outside.next_call([part.response for part in parts if part is not None])
        part = types.Part(text="done")
        if call is not None:
            part = types.Part(function_call=types.FunctionCall(id=call, name="pay", args={}))
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


class Adk:
    """A plain function, and a callback that answers for tools that fail."""

    def __init__(self, outside, runtime):
        async def pay() -> str:
            """Pay."""
            return outside.pay()

        def failed(**_):
            return {"error": AGAIN}

        model = AdkModel(outside=outside)
        agent = LlmAgent(name="app", model=model, tools=[pay], on_tool_error_callback=failed)
        self.runner = durable_runner(agent, runtime, name="app", auto_create_session=True)

    def run(self):
        async def listen():
            given = types.UserContent("go")
            async for _ in self.runner.run_async(user_id="u", session_id="s", new_message=given, execution_id="e"):
                pass

        asyncio.run(listen())


WAYS = {
    "langgraph tool": ToolGraph,
    "langgraph tool streamed": AsyncToolGraph,
    "langgraph task": TaskGraph,
    "openai": Sdk,
    "openai streamed": StreamedSdk,
    "adk": Adk,
}
ASYNC = [Sdk, StreamedSdk, Adk]


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def way(request):
    return request.param


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


def failing_once(monkeypatch, error):
    """Let the append fail that would record the first payment."""
    append, failed = Journal.append, []

    def append_or_fail(self, *records, **more):
        if not failed and any(r.kind == "step_done" and r.meta.get("name") == "pay" for r in records):
            failed.append(records)
            raise error
        return append(self, *records, **more)

    monkeypatch.setattr(Journal, "append", append_or_fail)


def test_a_database_that_is_locked_after_an_effect_stops_the_execution_in_doubt(migrated_url, way, ledger, monkeypatch):
    with Runtime(migrated_url, policies={"pay": ToolPolicy(effect="once")}) as runtime:
        outside = Outside(ledger)
        agent = way(outside, runtime)
        failing_once(monkeypatch, DatabaseBusy("locked"))
        with pytest.raises(DatabaseBusy):
            agent.run()
        assert outside.paid == 1
        assert not runtime.get("e").execution().ended
        runtime.recover()
        assert outside.paid == 1
        assert [asked.kind for asked in runtime.interrupts()] == ["in_doubt"]


def test_a_lease_that_is_lost_during_an_effect_stops_the_process(migrated_url, way, ledger, monkeypatch):
    with Runtime(migrated_url) as runtime:
        outside = Outside(ledger)
        agent = way(outside, runtime)
        failing_once(monkeypatch, LeaseLost("e", 1))
        with pytest.raises(LeaseLost):
            agent.run()
        assert outside.paid == 1
        assert not runtime.get("e").execution().ended


def test_a_result_that_is_too_large_stops_the_execution_by_name(migrated_url, way, ledger):
    with Runtime(migrated_url) as runtime:
        outside = Outside(ledger, "x" * 300_000)
        agent = way(outside, runtime)
        runtime.codec.limit = 200_000
        with pytest.raises((ResultLost, PayloadTooLarge)):
            agent.run()
        assert outside.paid == 1
        assert runtime.get("e").status == "failed"


@pytest.mark.parametrize("way", ASYNC)
def test_a_transactional_tool_of_an_asynchronous_framework_is_refused_by_name(migrated_url, way, ledger):
    with Runtime(migrated_url, policies={"pay": ToolPolicy(effect="transactional")}) as runtime:
        outside = Outside(ledger)
        with pytest.raises(Unsupported, match="transactional"):
            way(outside, runtime).run()
        assert ledger.counts() == {"asked": 1}
        assert runtime.get("e").status == "failed"


def test_an_error_of_the_tool_itself_is_still_for_the_framework(migrated_url, way, ledger):
    class Broken(Outside):
        def pay(self):
            super().pay()
            msg = "no money"
            raise ValueError(msg)

    with Runtime(migrated_url) as runtime:
        outside = Broken(ledger)
        agent = way(outside, runtime)
        if way is TaskGraph:
            with pytest.raises(ValueError, match="no money"):
                agent.run()
        else:
            agent.run()
            assert runtime.get("e").status == "succeeded"
            assert outside.paid == MOST


@pytest.mark.parametrize("way", [AsyncToolGraph, Sdk, Adk])
def test_without_the_crossing_the_model_would_pay_again(migrated_url, way, ledger, monkeypatch):
    def nothing(*_):
        return False

    with Runtime(migrated_url) as runtime:
        outside = Outside(ledger, "x" * 300_000)
        agent = way(outside, runtime)
        runtime.codec.limit = 200_000
        monkeypatch.setattr(crossing, "is_ours", nothing)
        agent.run()
        assert outside.paid == MOST
