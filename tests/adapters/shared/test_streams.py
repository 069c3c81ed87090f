"""A streamed model call is a step as a whole one: the same retries, records, doubts and crashes, in each framework."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing
from typing import Any

import pytest
from agents import Agent, RunConfig
from agents.testing import ModelStep, ScriptedModel, assistant_message
from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig as AdkRunConfig
from google.adk.agents.run_config import StreamingMode
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.genai import types
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph
from openai.types.responses import ResponseCompletedEvent, ResponseCreatedEvent, ResponseTextDeltaEvent
from openai.types.responses.response import Response

from durable import Retry, Runtime, ToolPolicy
from durable.adapters.google_adk import durable_runner
from durable.adapters.langgraph import durable_graph
from durable.adapters.openai_agents import durable_agent
from tests.adapters.langgraph_world import Ledger, killed
from tests.templates import *  # noqa: F403 - fixtures

WORDS = ["one ", "two ", "three"]
WHOLE = "".join(WORDS)
MODEL = "talker"
RETRY = ToolPolicy(effect="read", retry=Retry(attempts=3, initial=0.0))


class Outside:
    """Answers for all models: each ask is a line of the ledger; the first ``fails`` break off ``after`` words."""

    def __init__(self, ledger, *, fails=0, after=0, kill=False):
        self.ledger, self.fails, self.after, self.kill = ledger, fails, after, kill

    @property
    def asked(self):
        return self.ledger.counts().get("asked", 0)

    def words(self):
        self.ledger.did("asked")
        fails = self.asked <= self.fails
        for number, word in enumerate([*WORDS, ""]):
            if fails and number == self.after:
                if self.kill:
                    os.kill(os.getpid(), signal.SIGKILL)
                raise ConnectionError("down")
            if word:
                yield word


class ChatModel(BaseChatModel):
    outside: Any
    model_name: str = MODEL

    @property
    def _llm_type(self):
        return MODEL

    def _generate(self, messages, *_, **__):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("".join(self.outside.words())))])

    def _stream(self, messages, *_, **__):
        for word in self.outside.words():
            yield ChatGenerationChunk(message=AIMessageChunk(word))


class LangGraph:
    """A graph of one node, which calls the model in its own flavour and hears its words."""

    def __init__(self, outside, runtime, *, streamed, is_async):
        self.model, self.streamed, self.heard = ChatModel(outside=outside), streamed, []
        self.is_async = is_async
        graph = StateGraph(MessagesState)
        graph.add_node("talk", self.talk_async if is_async else self.talk)
        graph.add_edge(START, "talk")
        self.graph = durable_graph(graph, runtime, name="app")

    def talk(self, state):
        if not self.streamed:
            return {"messages": [self.model.invoke(state["messages"])]}
        self.heard.clear()
        for chunk in self.model.stream(state["messages"]):
            self.heard.append(chunk.content)
        return {"messages": [AIMessage("".join(self.heard))]}

    async def talk_async(self, state):
        if not self.streamed:
            return {"messages": [await self.model.ainvoke(state["messages"])]}
        self.heard.clear()
        async for chunk in self.model.astream(state["messages"]):
            self.heard.append(chunk.content)
        return {"messages": [AIMessage("".join(self.heard))]}

    def run(self):
        given, config = {"messages": [("user", "go")]}, {"configurable": {"thread_id": "t"}}
        if self.is_async:
            asyncio.run(self.graph.ainvoke(given, config, execution_id="e"))
        else:
            self.graph.invoke(given, config, execution_id="e")

    def answer(self, runtime):
        return self.graph.get_state({"configurable": {"thread_id": "t"}}).values["messages"][-1].content


def response(words):
    output = [assistant_message(words)] if words else []
    return Response.model_construct(
        id="r", created_at=0.0, model=MODEL, object="response", output=output, tools=[], parallel_tool_calls=False
    )


class OpenAIAgents:
    """An agent of one turn."""

    def __init__(self, outside, runtime, *, streamed, is_async):
        self.streamed, self.heard = streamed, []

        async def events(_):
            yield ResponseCreatedEvent(type="response.created", response=response(""), sequence_number=0)
            for number, word in enumerate(outside.words()):
                yield ResponseTextDeltaEvent.model_construct(
                    type="response.output_text.delta", delta=word, item_id="i", sequence_number=number
                )
            yield ResponseCompletedEvent.model_construct(
                type="response.completed", response=response(WHOLE), sequence_number=9
            )

        def whole(_):
            return ModelStep(output=[assistant_message("".join(outside.words()))])

        script = ModelStep.stream(events) if streamed else ModelStep.respond(whole)
        model = ScriptedModel([script] * 9)
        agent = Agent(name="app", model=model)
        self.agent = durable_agent(agent, runtime, run_config=RunConfig(tracing_disabled=True))

    async def talk(self):
        if not self.streamed:
            return await self.agent.run("go", execution_id="e")
        result = self.agent.run_streamed("go", execution_id="e")
        async for event in result.stream_events():
            if getattr(getattr(event, "data", None), "type", "") == "response.output_text.delta":
                self.heard.append(event.data.delta)
        return result

    def run(self):
        asyncio.run(self.talk())

    def answer(self, runtime):
        return runtime.get("e").result()


class AdkModel(BaseLlm):
    model: str = MODEL
    outside: Any = None

    async def generate_content_async(self, llm_request, stream=False):
        for word in self.outside.words():
            if stream:
                yield LlmResponse(content=self.said(word), partial=True)
        yield LlmResponse(content=self.said(WHOLE))

    @staticmethod
    def said(words):
        return types.Content(role="model", parts=[types.Part(text=words)])


class GoogleADK:
    """An agent of one turn."""

    def __init__(self, outside, runtime, *, streamed, is_async):
        agent = LlmAgent(name="app", model=AdkModel(outside=outside))
        self.runner, self.streamed, self.heard = durable_runner(agent, runtime, name="app"), streamed, []

    async def talk(self):
        names = {"user_id": "ann", "session_id": "s"}
        service = self.runner.session_service
        if await service.get_session(app_name="app", **names) is None:
            await service.create_session(app_name="app", **names)
        config = AdkRunConfig(streaming_mode=StreamingMode.SSE) if self.streamed else AdkRunConfig()
        running = self.runner.run_async(
            **names, new_message=types.UserContent("go"), run_config=config, execution_id="e"
        )
        async with aclosing(running) as events:
            async for event in events:
                if event.partial:
                    self.heard.append(event.content.parts[0].text)

    def run(self):
        asyncio.run(self.talk())

    def answer(self, runtime):
        return runtime.get("e").result()


FRAMEWORKS = {"langgraph": LangGraph, "openai": OpenAIAgents, "adk": GoogleADK}
WAYS = [("langgraph", False), ("langgraph", True), ("openai", True), ("adk", True)]
"""Each framework, and in which flavours it calls its models."""


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{'async' if way[1] else 'sync'}")
def way(request):
    return request.param


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


def talking(way, outside, runtime, *, streamed=True):
    return FRAMEWORKS[way[0]](outside, runtime, streamed=streamed, is_async=way[1])


def governed(url):
    """A runtime whose models are asked three times."""
    return Runtime(url, policies=dict.fromkeys((f"chat:{MODEL}", "chat:ScriptedModel"), RETRY))


def of_model(runtime):
    history = runtime.get("e").history()
    found = (r for r in history if r.kind.startswith("step_") and r.payload.get("kind") == "model")
    return [record.kind for record in found]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_model_that_fails_is_asked_again_whole_and_streamed(migrated_url, way, ledger, streamed):
    with governed(migrated_url) as runtime:
        outside = Outside(ledger, fails=1)
        agent = talking(way, outside, runtime, streamed=streamed)
        agent.run()
        assert (outside.asked, of_model(runtime)) == (2, ["step_retry", "step_done"])
        assert runtime.get("e").status == "succeeded"
        assert agent.answer(runtime) == WHOLE
        assert not streamed or "".join(agent.heard) == WHOLE


def test_an_answer_that_breaks_off_is_not_begun_again_before_the_same_reader(migrated_url, way, ledger):
    with governed(migrated_url) as runtime:
        outside = Outside(ledger, fails=1, after=2)
        agent = talking(way, outside, runtime)
        with pytest.raises(ConnectionError):
            agent.run()
        assert (outside.asked, of_model(runtime), runtime.get("e").status) == (1, ["step_failed"], "failed")
        assert "".join(agent.heard) in WHOLE


def test_a_process_that_is_killed_while_a_model_speaks_is_followed_by_one_that_asks_again(migrated_url, way, ledger):
    def first():
        with governed(migrated_url) as runtime:
            talking(way, Outside(ledger, fails=1, after=2, kill=True), runtime).run()

    killed(first)
    with governed(migrated_url) as runtime:
        outside = Outside(ledger)
        agent = talking(way, outside, runtime)
        agent.run()
        assert (outside.asked, of_model(runtime), agent.answer(runtime)) == (2, ["step_done"], WHOLE)
        assert "".join(agent.heard) == WHOLE
