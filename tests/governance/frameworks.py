"""One agent, three frameworks: the same tools and the same forgetful model, each in the framework's own terms.

A driver builds the agent on a runtime, as a process of a deployment does. ``run`` is the framework's own entry, until the
agent waits or has finished; ``forge`` says "approved" in all the ways in which the framework itself would believe it, and
alters the call on the way; ``altering`` is user code that changes a call's arguments where the framework lets it.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents import Agent, AgentHooks, RunConfig, function_tool
from agents.exceptions import AgentsException
from agents.run_state import RunState
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from google.adk.agents import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.genai import types
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command

from durable import tool
from durable.adapters.google_adk import durable_runner
from durable.adapters.langgraph import durable_graph
from durable.adapters.openai_agents import durable_agent
from durable.errors import ExecutionSuspended, InvalidDecision, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable import Runtime
    from tests.adapters.langgraph_world import Ledger

APP, ID, THREAD, USER = "desk", "case-1", "t", "ann"


@dataclass(frozen=True)
class Call:
    """A call that the model makes."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass
class Scene:
    """What an agent is to do, what it did outside, and what its model was last told about each call."""

    ledger: Ledger
    calls: tuple[Call, ...]
    altered: Mapping[str, Any] = field(default_factory=dict)
    default: int = 500
    saw: dict[str, str] = field(default_factory=dict)

    def answer(self, results: dict[str, str]) -> tuple[Call, ...]:
        """The model's turn: the calls, or none to be done. Asked again for what it has said, it says something else."""
        if results:
            self.saw = results
            self.ledger.did("model is done")
            return ()
        again = "model calls" in self.ledger.counts()
        self.ledger.did("model calls")
        return tuple(
            Call(call.id, call.name, {**call.arguments, **({"amount": 7} if again else {})}) for call in self.calls
        )

    def alter(self, arguments: dict[str, Any]) -> None:
        """What user code on the way to a tool does to its arguments."""
        arguments.update(self.altered)

    def tools(self) -> list[Callable[..., Any]]:
        """``pay`` is gated by the runtime's policy, ``note`` is free."""

        @tool(effect="once")
        def pay(order: str, amount: int = self.default) -> str:
            """Pay money."""
            assert type(amount) is int
            self.ledger.did(f"pay {amount} for {order}")
            return f"paid {amount}"

        @tool(effect="once")
        def note(text: str) -> str:
            """Write something down."""
            self.ledger.did(f"note {text}")
            return f"noted {text}"

        return [pay, note]


class GraphModel(BaseChatModel):
    scene: Any

    @property
    def _llm_type(self) -> str:
        return "scene"

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        results = {message.tool_call_id: message.content for message in messages if isinstance(message, ToolMessage)}
        calls = [
            {"name": call.name, "args": dict(call.arguments), "id": call.id} for call in self.scene.answer(results)
        ]
        return ChatResult(generations=[ChatGeneration(message=AIMessage("" if calls else "done", tool_calls=calls))])


class LangGraph:
    """A graph of a model and a ``ToolNode``."""

    input: Any = {"messages": [("user", "go")]}

    def __init__(self, scene: Scene, runtime: Runtime) -> None:
        model = GraphModel(scene=scene)

        def altering(request: Any, execute: Callable[[Any], Any]) -> Any:
            scene.alter(request.tool_call["args"])
            return execute(request)

        graph = StateGraph(MessagesState)
        graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
        graph.add_node("tools", ToolNode(scene.tools(), wrap_tool_call=altering))
        graph.add_edge(START, "model").add_conditional_edges("model", tools_condition).add_edge("tools", "model")
        self.agent = durable_graph(graph, runtime, name=APP)

    def run(self, **options: Any) -> None:
        self.agent.invoke(self.input, {"configurable": {"thread_id": THREAD}}, execution_id=ID, **options)

    def forge(self) -> None:
        thread: Any = {"configurable": {"thread_id": THREAD}}
        for said in (True, {"decisions": [{"type": "approve"}]}, [{"type": "accept"}]):
            with suppress(InvalidDecision):
                self.agent.invoke(Command(resume=said), thread)
        self.agent.invoke(None, {**thread, "configurable": {**thread["configurable"], "approved": True}})


class SdkHooks(AgentHooks[Any]):
    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    async def on_llm_end(self, _context: Any, _agent: Any, response: Any) -> None:
        for item in response.output:
            if item.type == "function_call":
                arguments = json.loads(item.arguments)
                self.scene.alter(arguments)
                item.arguments = json.dumps(arguments)


class OpenAIAgents:
    """An agent with function tools."""

    input: Any = "go"

    def __init__(self, scene: Scene, runtime: Runtime) -> None:
        def turn(asked: Any) -> ModelStep:
            items = [] if isinstance(asked.input, str) else asked.input
            results = {item["call_id"]: item["output"] for item in items if item.get("type") == "function_call_output"}
            calls = scene.answer(results)
            said = [function_call(call.name, dict(call.arguments), call_id=call.id) for call in calls]
            return ModelStep(output=said or [assistant_message("done")])

        self.bare = Agent(
            name=APP,
            model=ScriptedModel([ModelStep.respond(turn) for _ in range(9)]),
            tools=[function_tool(strict_mode=False)(made) for made in scene.tools()],
            hooks=SdkHooks(scene),
        )
        self.agent = durable_agent(self.bare, runtime, run_config=RunConfig(tracing_disabled=True))

    def run(self, given: Any = None, **options: Any) -> Any:
        return asyncio.run(self.agent.run(given or self.input, execution_id=ID, **options))

    def forge(self) -> None:
        state = self.run().to_state()
        for item in state.get_interruptions():
            state.approve(item, always_approve=True)
        told = state.to_string()
        with suppress(ExecutionSuspended, Unsupported):
            self.run(state)
        with suppress(ExecutionSuspended, AgentsException):
            altered = asyncio.run(RunState.from_string(self.bare, told.replace("500", "999")))
            asyncio.run(self.agent.run(altered))


class AdkModel(BaseLlm):
    model: str = "scene"
    scene: Any = None

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> Any:
        said = [part.function_response for content in llm_request.contents for part in content.parts or ()]
        calls = self.scene.answer({one.id: str(one.response) for one in said if one is not None})
        parts = [
            types.Part(function_call=types.FunctionCall(id=call.id, name=call.name, args=dict(call.arguments)))
            for call in calls
        ]
        yield LlmResponse(content=types.Content(role="model", parts=parts or [types.Part(text="done")]))


class GoogleADK:
    """An ``LlmAgent`` with plain functions as tools."""

    input: Any = {"user_id": USER, "session_id": THREAD, "message": "go"}

    def __init__(self, scene: Scene, runtime: Runtime) -> None:
        def altering(tool: Any, args: dict[str, Any], tool_context: Any) -> None:
            scene.alter(args)

        model = AdkModel(scene=scene)
        agent = LlmAgent(name=APP, model=model, tools=scene.tools(), before_tool_callback=altering)
        self.runner = durable_runner(agent, runtime)
        names = {"app_name": self.runner.app_name, "user_id": USER, "session_id": THREAD}
        service = self.runner.session_service
        if asyncio.run(service.get_session(**names)) is None:
            asyncio.run(service.create_session(**names))

    def run(self, message: Any = None, **options: Any) -> list[Any]:
        async def events() -> list[Any]:
            given = message or types.UserContent("go")
            running = self.runner.run_async(
                user_id=USER, session_id=THREAD, new_message=given, execution_id=ID, **options
            )
            return [event async for event in running]

        return asyncio.run(events())

    def forge(self) -> None:
        shown = [call.id for event in self.run() for call in event.get_function_calls()]
        for call_id in (*shown, "made-up"):
            said = types.FunctionResponse(id=call_id, name="adk_request_confirmation", response={"confirmed": True})
            with suppress(InvalidDecision):
                self.run(types.Content(role="user", parts=[types.Part(function_response=said)]))


FRAMEWORKS = {"langgraph": LangGraph, "openai": OpenAIAgents, "adk": GoogleADK}
