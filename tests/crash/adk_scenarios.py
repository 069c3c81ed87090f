"""A Google ADK agent with parallel tools, an approval and an agent as a tool; and a workflow with a join: each with effects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from google.adk import Workflow
from google.adk.agents import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.tools.agent_tool import AgentTool
from google.adk.workflow import JoinNode
from google.genai import types

from durable import current, tool
from durable.adapters.google_adk import durable_runner
from tests.crash.scenario import Scenario
from tests.crash.world import answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from durable import Runtime
    from tests.crash.world import World


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

    def declared(self, world: World, name: str) -> Any:
        def send(customer: str = "acme") -> str:
            """Do it."""
            return world.effect(name, {"customer": customer}, key=current().idempotency_key)

        send.__name__ = name
        return tool(effect=self.effects[name], approval=name in self.gated or None)(send)

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
    """Parallel tools, one of them gated, beside an agent as a tool."""

    name = "google adk agent"
    app = "agent"
    effects = {"look_up": "read", "reserve": "idempotent", "charge": "once", "inner_once": "once"}
    gated = frozenset({"charge"})
    side_by_side = 2
    expected = {"agent": ("succeeded", "look_up done reserve done charge done inner_once done")}

    def build(self, runtime: Runtime, world: World) -> None:
        def told(name: str, value: str) -> str:
            return value if name == "inner" else str(world.acknowledged(name, value))

        plan = [(name, {"customer": "acme"}) for name in ("look_up", "reserve", "charge")]
        inner = LlmAgent(
            name="inner",
            model=Model(plan=[("inner_once", {"customer": "acme"})], told=told),
            tools=[self.declared(world, "inner_once")],
        )
        tools = [*(self.declared(world, name) for name, _ in plan), AgentTool(agent=inner)]
        model = Model(plan=[*plan, ("inner", {"request": "go"})], told=told)
        self.runner = durable_runner(LlmAgent(name="root", model=model, tools=tools), runtime, name=self.app)


class AdkWorkflow(_Adk):
    """Function nodes, two of them side by side."""

    name = "google adk workflow"
    app = "workflow"
    effects = {"n1": "once", "n2": "idempotent", "n3": "once", "n4": "once"}
    side_by_side = 2
    expected = {"workflow": ("succeeded", answer("n4"))}

    def build(self, runtime: Runtime, world: World) -> None:
        def node(name: str) -> Any:
            def send(node_input: Any) -> str:
                return world.effect(name, {}, key=current().idempotency_key)

            send.__name__ = name
            return tool(effect=self.effects[name])(send)

        n1, n2, n3, n4 = (node(name) for name in self.effects)
        app = Workflow(name=self.app, edges=[("START", n1, (n2, n3), JoinNode(name="join"), n4)])
        self.runner = durable_runner(app, runtime, name=self.app)


ADK = [AdkAgent, AdkWorkflow]
