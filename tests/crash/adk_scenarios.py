"""Google ADK: an agent with parallel tools and confirmations, a workflow with a join, an agent as a tool: each with effects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from google.adk import Workflow
from google.adk.agents import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.tools import FunctionTool
from google.adk.tools.agent_tool import AgentTool
from google.adk.workflow import JoinNode
from google.genai import types

from durable import ToolPolicy, current, tool
from durable.adapters.google_adk import durable_runner
from durable.testing.outside import answer
from tests.crash.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from durable import Runtime
    from durable.testing.outside import Outside


class Model(BaseLlm):
    """Calls the tools of ``plan`` at once if it was told nothing by them yet, then tells what they told."""

    model: str = "planned"
    plan: list[tuple[str, dict[str, Any]]]
    told: Any

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[LlmResponse, None]:
        parts = [part for content in llm_request.contents for part in content.parts or ()]
        given = [part.function_response for part in parts if part.function_response]
        if given:
            said = [types.Part(text=" ".join(self.told(each.name, each.response["result"]) for each in given))]
        else:
            said = [types.Part(function_call=types.FunctionCall(name=name, args=args)) for name, args in self.plan]
        yield LlmResponse(content=types.Content(role="model", parts=said))


class _Adk(Scenario):
    runner: Any

    def declared(self, world: Outside, name: str) -> Any:
        def send(customer: str = "acme") -> str:
            """Do it."""
            return world.effect(name, {"customer": customer}, key=current().idempotency_key)

        send.__name__ = name
        return tool(effect=self.effects[name])(send)

    def start(self, runtime: Runtime) -> None:
        async def call() -> None:
            service, names = self.runner.session_service, {"app_name": self.app, "user_id": "u", "session_id": "s"}
            if await service.get_session(**names) is None:
                await service.create_session(**names)
            message = types.UserContent("go")
            async for _ in self.runner.run_async(
                user_id="u", session_id="s", new_message=message, execution_id=self.app
            ):
                pass

        asyncio.run(call())


class AdkAgent(_Adk):
    """Parallel tools; one requires a confirmation, one asks for it by itself."""

    name = "google adk agent"
    app = "agent"
    effects = {"look_up": "read", "reserve": "idempotent", "charge": "once", "notify": "once"}
    gated = frozenset({"charge", "notify"})
    side_by_side = 2
    expected = {"agent": ("succeeded", "look_up done reserve done charge done notify done")}

    def build(self, runtime: Runtime, world: Outside) -> None:
        @tool(effect="once")
        def notify(customer: str, tool_context: Any) -> str:
            """Do it."""
            if tool_context.tool_confirmation is None:
                tool_context.request_confirmation(hint="sure?")
                return "waiting"
            return world.effect("notify", {"customer": customer}, key=current().idempotency_key)

        tools = [self.declared(world, "look_up"), self.declared(world, "reserve"), notify]
        tools.append(FunctionTool(self.declared(world, "charge"), require_confirmation=True))
        model = Model(plan=[(name, {"customer": "acme"}) for name in self.effects], told=world.acknowledged)
        self.runner = durable_runner(LlmAgent(name="root", model=model, tools=tools), runtime, name=self.app)


class AdkAgentTool(_Adk):
    """An agent as a tool, with tools of its own, beside another tool."""

    name = "google adk agent as a tool"
    app = "agent_tool"
    effects = {"inner_once": "once", "inner_gated": "once", "beside": "once"}
    gated = frozenset({"inner_gated"})
    side_by_side = 2
    expected = {"agent_tool": ("succeeded", "inner_once done inner_gated done beside done")}
    runtime_options = {"policies": {"inner_gated": ToolPolicy(approval=True)}}

    def build(self, runtime: Runtime, world: Outside) -> None:
        def told(name: str, value: str) -> str:
            return value if name == "inner" else str(world.acknowledged(name, value))

        names = ("inner_once", "inner_gated")
        inner = LlmAgent(
            name="inner",
            model=Model(plan=[(name, {"customer": "acme"}) for name in names], told=told),
            tools=[self.declared(world, name) for name in names],
        )
        model = Model(plan=[("inner", {"request": "go"}), ("beside", {"customer": "acme"})], told=told)
        root = LlmAgent(name="root", model=model, tools=[AgentTool(agent=inner), self.declared(world, "beside")])
        self.runner = durable_runner(root, runtime, name=self.app)


class AdkWorkflow(_Adk):
    """Function nodes, two of them side by side."""

    name = "google adk workflow"
    app = "workflow"
    effects = {"n1": "once", "n2": "idempotent", "n3": "once", "n4": "once"}
    side_by_side = 2
    expected = {"workflow": ("succeeded", answer("n4"))}

    def build(self, runtime: Runtime, world: Outside) -> None:
        def node(name: str) -> Any:
            def send(node_input: Any) -> str:
                return world.effect(name, {}, key=current().idempotency_key)

            send.__name__ = name
            return tool(effect=self.effects[name])(send)

        n1, n2, n3, n4 = (node(name) for name in self.effects)
        app = Workflow(name=self.app, edges=[("START", n1, (n2, n3), JoinNode(name="join"), n4)])
        self.runner = durable_runner(app, runtime, name=self.app)


ADK = [AdkAgent, AdkWorkflow, AdkAgentTool]
