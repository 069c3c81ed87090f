"""MCP servers: the list of tools that a server offers is recorded, so that what is recorded is read without it.

A list is the same in most turns; one that is as the last one of this server is recorded as None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.mcp.util import MCPUtil
from mcp.types import Tool

from durable.declare.policy import READ
from durable.kit import hook
from durable.live.scope import scope
from durable.record.kinds import FRAMEWORK
from durable.step.call import Call
from durable.step.crossing import place, run_step_async

if TYPE_CHECKING:
    from collections.abc import Callable


def hook_mcp() -> None:
    """Put the seam in place, once per process."""
    hook(MCPUtil, "_list_tools_with_span", _listing)


def _listing(list_tools: Callable[..., Any]) -> Callable[..., Any]:
    async def bare(*args: Any) -> list[Tool]:
        tools: list[Tool] = await list_tools(*args)
        return tools

    async def durable_list(server: Any, run_context: Any, agent: Any) -> list[Tool]:
        here = scope()
        if here is None:
            return await bare(server, run_context, agent)
        lists = here.segment.attachments.setdefault("openai_agents.mcp_tools", {})
        step = place(Call(f"list_tools:{server.name}", None, READ, kind=FRAMEWORK, scope=here))
        if here.segment.execution.ended and step.match is None:  # recorded by a version that did not record lists
            return await bare(server, run_context, agent)
        last = lists.get(step.call.prefix)

        async def body(_: Any) -> Any:
            listed = await list_tools(server, run_context, agent)
            plain = [tool.model_dump(mode="json", by_alias=True, exclude_unset=True) for tool in listed]
            return None if plain == last else plain

        recorded = await run_step_async(step, body)
        known = lists[step.call.prefix] = last if recorded is None else recorded
        return [Tool.model_validate(tool) for tool in known or ()]

    return durable_list
