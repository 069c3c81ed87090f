"""Entry: an agent is wrapped, and each call of it is an execution."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic_ai import AgentRunResultEvent, DeferredToolRequests
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.messages import ToolReturn

from durable.errors import Unsupported
from durable.kit import Invocation, driving, opened, register, root, start, take, within
from examples.adapters.pydantic_ai.models import DurableModel
from examples.adapters.pydantic_ai.tools import DurableToolset

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from pydantic_ai import Agent, AgentRunResult
    from pydantic_ai.models import Model
    from pydantic_ai.toolsets import AbstractToolset

    from durable import Runtime
    from durable.kit import Drive, Segment


class Durability(AbstractCapability[Any]):
    """Puts the two seams into one run of an agent."""

    def get_wrapper_model(self, model: Model) -> Model:
        """Make each request to the model a step."""
        return DurableModel(model)

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        """Make each tool call a step."""
        return DurableToolset(toolset)


@dataclass(frozen=True, slots=True)
class DurableAgent:
    """An agent and the runtime it is durable in; ``options`` are those of ``agent.run`` for every call."""

    agent: Agent[Any, Any]
    runtime: Runtime
    name: str
    options: Mapping[str, Any]

    async def run(
        self,
        prompt: str,
        *,
        execution_id: str | None = None,
        thread: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> AgentRunResult[Any]:
        """As ``agent.run``. The same ``execution_id`` and prompt again goes on, or returns what was recorded.

        Raises ExecutionSuspended if it waits: decide in the inbox and call again, or let a worker go on. Raises what
        the bare run raises; ExecutionConflict, ExecutionBusy, ThreadBusy.
        """
        invocation = Invocation(self.name, prompt, thread, execution_id, tags=tags or {})
        drive = await opened(self.runtime, partial(self._open, invocation))
        async with driving(drive):
            with within(root(drive.segment)):
                result = await self._bare(prompt)
            drive.output = output_of(result)
        return result

    @asynccontextmanager
    async def stream(
        self,
        prompt: str,
        *,
        execution_id: str | None = None,
        thread: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[AsyncIterator[Any]]:
        """As ``agent.run_stream_events``; see ``run``."""
        invocation = Invocation(self.name, prompt, thread, execution_id, tags=tags or {})
        drive = await opened(self.runtime, partial(self._open, invocation))
        async with driving(drive):
            with within(root(drive.segment)):
                async with self.agent.run_stream_events(prompt, **self._durable()) as events:
                    yield _noting_output(drive, events)

    async def work(self, segment: Segment) -> Any:
        """Drive a claimed execution, as a worker does, and return its output."""
        return output_of(await self._bare(segment.execution.input))

    def _open(self, invocation: Invocation) -> Drive:
        return take(self.runtime, start(self.runtime, invocation))

    async def _bare(self, prompt: str) -> AgentRunResult[Any]:
        return await self.agent.run(prompt, **self._durable())

    def _durable(self) -> dict[str, Any]:
        return {**self.options, "capabilities": [*self.options.get("capabilities", ()), Durability()]}


def durable_agent(
    agent: Agent[Any, Any], runtime: Runtime, *, name: str | None = None, version: str | None = None, **options: Any
) -> DurableAgent:
    """Make each run of the agent an execution of ``runtime``; ``name`` defaults to the agent's own.

    ``options`` are those of ``agent.run`` (deps, model, usage_limits, ...) for every run, here and in workers.
    """
    durable = DurableAgent(agent, runtime, str(name or agent.name), options)
    types = [ModelRetry, ToolFailed, ToolReturn, *([agent.output_type] if isinstance(agent.output_type, type) else [])]
    register(runtime, durable.name, durable.work, version=version, types=types)
    return durable


def output_of(result: AgentRunResult[Any]) -> Any:
    """Return what is recorded as the execution's output. Raises Unsupported for calls that are deferred."""
    if isinstance(result.output, DeferredToolRequests):
        calls = sorted({call.tool_name for call in result.output.calls})
        msg = f"external tools, which somebody else runs ({', '.join(calls)}): make them tools that ask, or wait"
        raise Unsupported(msg)
    return result.output


async def _noting_output(drive: Drive, events: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    async for event in events:
        if isinstance(event, AgentRunResultEvent):
            drive.output = output_of(event.result)
        yield event
