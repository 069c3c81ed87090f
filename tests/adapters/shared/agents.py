"""One agent on three frameworks: a model that asks for one payment, and the tool that makes it.

A flavour is a framework and the way in which it is called. ``input`` is what a call with these words is stored as,
``run`` is the framework's own entry, ``leave`` the same with a caller who goes away when the payment was made.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from agents import Agent, RunConfig, function_tool
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from google.adk.agents import LlmAgent
from google.genai import types
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from durable import tool
from durable.adapters.google_adk import durable_runner
from durable.adapters.google_adk.entry.runs import call_of
from durable.adapters.langgraph import durable_graph
from durable.adapters.openai_agents import DurableSession, durable_agent
from durable.adapters.openai_agents.state.stored_call import AgentCall
from durable.testing import APP, Call, Turn
from tests.adapters.suite import google_adk, langgraph

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from durable import Runtime
    from tests.adapters.langgraph_world import Ledger


THREAD, USER = "t", google_adk.USER


class Payment:
    """What the agent is to do: it pays once in each conversation."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def answer(self, results: dict[str, str]) -> Turn:
        """Return the model's turn."""
        return Turn(text="done") if results else Turn((Call("c1", "pay", {"order": "A"}),))

    def pay(self) -> Callable[..., Any]:
        """Return the tool."""

        @tool(effect="once")
        def pay(order: str) -> str:
            """Pay an order."""
            self.ledger.did(f"pay {order}")
            return f"paid {order}"

        return pay


class Graph:
    """LangGraph, ``invoke`` and ``stream``."""

    thread = THREAD

    def __init__(self, ledger: Ledger, runtime: Runtime, **options: Any) -> None:
        payment = Payment(ledger)
        model = langgraph.Model(script=payment)
        graph = StateGraph(MessagesState)
        graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
        graph.add_node("tools", ToolNode([payment.pay()]))
        graph.add_edge(START, "model").add_conditional_edges("model", tools_condition).add_edge("tools", "model")
        self.agent, self.config = (
            durable_graph(graph, runtime, name=APP, **options),
            {"configurable": {"thread_id": THREAD}},
        )

    def input(self, words: str) -> Any:
        return {"messages": [("user", words)]}

    def run(self, words: str = "go", **named: Any) -> None:
        self.agent.invoke(self.input(words), self.config, **named)

    def leave(self, **named: Any) -> None:
        chunks = self.agent.stream(self.input("go"), self.config, stream_mode="updates", **named)
        next(chunk for chunk in chunks if "tools" in chunk)
        chunks.close()


class AsyncGraph(Graph):
    """LangGraph, ``ainvoke`` and ``astream``."""

    def run(self, words: str = "go", **named: Any) -> None:
        asyncio.run(self.arun(words, **named))

    async def arun(self, words: str = "go", **named: Any) -> None:
        await self.agent.ainvoke(self.input(words), self.config, **named)

    def leave(self, **named: Any) -> None:
        asyncio.run(
            until(lambda: self.agent.astream(self.input("go"), self.config, stream_mode="updates", **named), "tools")
        )


class Sdk:
    """The OpenAI Agents SDK, ``run`` and ``run_streamed``, with a session."""

    thread = THREAD

    def __init__(self, ledger: Ledger, runtime: Runtime, **options: Any) -> None:
        payment = Payment(ledger)

        def turn(asked: Any) -> ModelStep:
            items = [] if isinstance(asked.input, str) else asked.input
            results = {item["call_id"]: item["output"] for item in items if item.get("type") == "function_call_output"}
            calls = [function_call(c.name, dict(c.arguments), call_id=c.id) for c in payment.answer(results).calls]
            return ModelStep(output=calls or [assistant_message("done")])

        model = ScriptedModel([ModelStep.respond(turn) for _ in range(9)])
        bare = Agent(name=APP, model=model, tools=[function_tool(payment.pay())])
        self.session = DurableSession(THREAD, runtime)
        self.agent = durable_agent(
            bare,
            runtime,
            session=lambda _: self.session,
            run_config=RunConfig(tracing_disabled=True),
            **options,
        )

    def input(self, words: str) -> Any:
        return AgentCall(words, session_id=THREAD)

    def run(self, words: str = "go", **named: Any) -> None:
        asyncio.run(self.arun(words, **named))

    async def arun(self, words: str = "go", **named: Any) -> None:
        await self.agent.run(words, session=self.session, **named)

    def leave(self, **named: Any) -> None:
        async def listening() -> None:
            result = self.agent.run_streamed("go", session=self.session, **named)
            async for event in result.stream_events():
                if getattr(event, "name", "") == "tool_output":
                    result.cancel()

        asyncio.run(listening())


class SyncSdk(Sdk):
    """The OpenAI Agents SDK, ``run_sync``."""

    def run(self, words: str = "go", **named: Any) -> None:
        loop = asyncio.new_event_loop()  # else the SDK makes one, and leaves it open for the next run
        asyncio.set_event_loop(loop)
        try:
            self.agent.run_sync(words, session=self.session, **named)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


class Adk:
    """Google ADK, ``run_async``."""

    thread = f"{USER}/{THREAD}"

    def __init__(self, ledger: Ledger, runtime: Runtime, **options: Any) -> None:
        payment = Payment(ledger)
        agent = LlmAgent(name=APP, model=google_adk.Model(script=payment), tools=[payment.pay()])
        self.runner = durable_runner(agent, runtime, auto_create_session=True, **options)

    def input(self, words: str) -> Any:
        return call_of(USER, THREAD, types.UserContent(words), None, None)

    def run(self, words: str = "go", **named: Any) -> None:
        asyncio.run(self.arun(words, **named))

    async def arun(self, words: str = "go", **named: Any) -> None:
        async for _ in self.events(words, **named):
            pass

    def events(self, words: str, **named: Any) -> AsyncGenerator[Any, None]:
        return self.runner.run_async(user_id=USER, session_id=THREAD, new_message=types.UserContent(words), **named)

    def leave(self, **named: Any) -> None:
        asyncio.run(until(lambda: self.events("go", **named), "function_response"))


async def until(open_stream: Callable[[], Any], sign: str) -> None:
    """Listen to a stream until something says that the tool has run, and leave it there."""
    async with aclosing(open_stream()) as events:
        async for event in events:
            if sign in str(event):
                return


FLAVOURS = {
    "langgraph": Graph,
    "langgraph async": AsyncGraph,
    "openai": Sdk,
    "openai sync": SyncSdk,
    "adk": Adk,
}
ASYNC = {name: flavour for name, flavour in FLAVOURS.items() if hasattr(flavour, "arun") and flavour is not SyncSdk}
