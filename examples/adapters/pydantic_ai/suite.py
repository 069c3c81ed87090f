"""The suite's fixture: an agent whose model is a ``FunctionModel`` over the script."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent, Tool
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelResponse, PartDeltaEvent, PartStartEvent, TextPart, ToolCallPart
from pydantic_ai.models.function import DeltaToolCall, FunctionModel

from durable.testing import APP, MESSAGE, AdapterFixture, Entry, Script
from examples.adapters.pydantic_ai import DurableAgent, durable_agent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from durable import Runtime


class Altering(AbstractCapability[Any]):
    """User code that alters calls."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def before_tool_execute(self, ctx: Any, **about: Any) -> dict[str, Any]:  # noqa: ARG002 - the framework's
        """Alter the arguments of one call."""
        arguments = dict(about["args"])
        self.script.alter(arguments)
        return arguments


class PydanticAI(AdapterFixture):
    """An agent with plain functions as tools."""

    altered = "drift"

    def agent(self, runtime: Runtime, script: Script, tools: Sequence[Callable[..., Any]]) -> DurableAgent:
        """See ``AdapterFixture``."""

        def answer(messages: list[Any], _: Any) -> ModelResponse:
            turn = script.answer(results(messages))
            calls: list[Any] = [
                ToolCallPart(call.name, dict(call.arguments), tool_call_id=call.id) for call in turn.calls
            ]
            return ModelResponse(parts=calls or [TextPart(turn.text)])

        async def stream(messages: list[Any], _: Any) -> AsyncIterator[Any]:
            turn = script.answer(results(messages))
            for index, call in enumerate(turn.calls):
                arguments = json.dumps(dict(call.arguments))
                yield {index: DeltaToolCall(name=call.name, json_args=arguments, tool_call_id=call.id)}
            for word in turn.text.split():
                yield word if turn.text.startswith(word) else f" {word}"

        agent = Agent(
            FunctionModel(answer, stream_function=stream, model_name=self.model),
            name=APP,
            tools=[Tool(function) for function in tools],
            capabilities=[Altering(script)],
        )
        return durable_agent(agent, runtime)

    def run(self, agent: DurableAgent, entry: Entry) -> str | None:
        """See ``AdapterFixture``."""
        call = agent.run(MESSAGE, execution_id=entry.execution_id, thread=entry.thread, tags=entry.tags)
        return str(asyncio.run(call).output)

    def stream(self, agent: DurableAgent, entry: Entry) -> list[str]:
        """See ``AdapterFixture``."""

        async def read() -> list[str]:
            call = agent.stream(MESSAGE, execution_id=entry.execution_id, thread=entry.thread, tags=entry.tags)
            async with call as events:
                return [text async for event in events if (text := text_of(event))]

        return asyncio.run(read())


def results(messages: list[Any]) -> dict[str, str]:
    """Return what the model is told of its calls."""
    parts = [part for message in messages for part in message.parts]
    return {part.tool_call_id: str(part.content) for part in parts if part.part_kind in {"tool-return", "retry-prompt"}}


def text_of(event: Any) -> str:
    """Return the text that an event of a stream adds to the answer."""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent):
        return getattr(event.delta, "content_delta", "") or ""
    return ""
