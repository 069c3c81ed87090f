"""The OpenAI Agents SDK in the suite: an agent with function tools."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agents import Agent, AgentHooks, RunConfig, function_tool
from agents.exceptions import AgentsException
from agents.run_state import RunState
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call

from durable.adapters.openai_agents import durable_agent
from durable.errors import ExecutionSuspended, Unsupported
from durable.testing import APP, MESSAGE, AdapterFixture, Entry, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durable import Runtime


class Hooks(AgentHooks[Any]):
    """User code that alters calls."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def on_llm_end(self, context: Any, agent: Any, response: Any) -> None:
        for item in response.output:
            if item.type == "function_call":
                arguments = json.loads(item.arguments)
                self.script.alter(arguments)
                item.arguments = json.dumps(arguments)


class OpenAIAgents(AdapterFixture):
    """The SDK refuses a recorded call that comes by with other arguments itself."""

    model = "ScriptedModel"
    altered = "failed"

    def agent(self, runtime: Runtime, script: Script, tools: Sequence[Callable[..., Any]]) -> Any:
        def answer(request: Any) -> ModelStep:
            items = [] if isinstance(request.input, str) else request.input
            results = {item["call_id"]: item["output"] for item in items if item.get("type") == "function_call_output"}
            turn = script.answer(results)
            calls = [function_call(call.name, dict(call.arguments), call_id=call.id) for call in turn.calls]
            return ModelStep(output=calls or [assistant_message(turn.text)])

        agent = Agent(
            name=APP,
            model=ScriptedModel([ModelStep.respond(answer) for _ in range(9)]),
            tools=[function_tool(strict_mode=False)(each) for each in tools],
            hooks=Hooks(script),
        )
        return durable_agent(agent, runtime, run_config=RunConfig(tracing_disabled=True))

    def run(self, agent: Any, entry: Entry) -> str | None:
        result = asyncio.run(agent.run(MESSAGE, execution_id=entry.execution_id, tags=entry.tags))
        return result.final_output

    def stream(self, agent: Any, entry: Entry) -> list[str]:
        async def streamed() -> list[str]:
            result = agent.run_streamed(MESSAGE, execution_id=entry.execution_id, tags=entry.tags)
            pieces = []
            async for event in result.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    pieces.append(event.data.delta)
            return pieces or ([result.final_output] if result.final_output else [])

        return asyncio.run(streamed())

    def go_on(self, agent: Any, entry: Entry) -> str | None:
        return asyncio.run(agent.run(self._state(agent, entry))).final_output

    def forge(self, agent: Any, entry: Entry) -> None:
        state = self._state(agent, entry)
        for item in state.get_interruptions():
            state.approve(item, always_approve=True)
        stored = state.to_string()
        with suppress(ExecutionSuspended, Unsupported):
            asyncio.run(agent.run(state, execution_id=entry.execution_id))
        with suppress(ExecutionSuspended, AgentsException):
            altered = asyncio.run(RunState.from_string(agent.agent, stored.replace("500", "999")))
            asyncio.run(agent.run(altered))

    def _state(self, agent: Any, entry: Entry) -> Any:
        return asyncio.run(agent.run(MESSAGE, execution_id=entry.execution_id, tags=entry.tags)).to_state()
