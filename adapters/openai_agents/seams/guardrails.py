"""Guardrails: each call of one is a scope, so that what it runs (models, sub-agents, steps) is found again.

A guardrail's verdict is no step: its function runs again on a replay, and gets the recorded answers of what it asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.guardrail import InputGuardrail, OutputGuardrail
from agents.tool_guardrails import ToolInputGuardrail, ToolOutputGuardrail

from durable.adapters.openai_agents.seams.run_scope import place_of_guardrail
from durable.kit import hook
from durable.live.scope import scope

if TYPE_CHECKING:
    from collections.abc import Callable


def hook_guardrails() -> None:
    """Put the seams in place, once per process."""
    hook(InputGuardrail, "run", _of_agent)
    hook(OutputGuardrail, "run", _of_agent)
    hook(ToolInputGuardrail, "run", _of_tool)
    hook(ToolOutputGuardrail, "run", _of_tool)


def _of_agent(run: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_run(self: Any, *args: Any, **options: Any) -> Any:
        here = scope()
        if here is None:
            return await run(self, *args, **options)
        with place_of_guardrail(here, self.get_name()):
            return await run(self, *args, **options)

    return durable_run


def _of_tool(run: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_run(self: Any, data: Any) -> Any:
        here = scope()
        if here is None:
            return await run(self, data)
        with place_of_guardrail(here, self.get_name(), data.context.tool_call_id):
            return await run(self, data)

    return durable_run
