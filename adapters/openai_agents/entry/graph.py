"""Agents in reach: those an agent hands off to, or uses as tools; and what in them cannot be made durable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import Agent, FunctionTool, Handoff

from durable.errors import InvalidConfiguration, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator


def agents_in(agent: Agent[Any]) -> Iterator[Agent[Any]]:
    """The agent and all agents it reaches, each once; handoffs may go round in circles."""
    found, left = {id(agent)}, [agent]
    while left:
        here = left.pop()
        yield here
        for other in (*map(_target, here.handoffs), *(getattr(tool, "_agent_instance", None) for tool in here.tools)):
            if isinstance(other, Agent) and id(other) not in found:
                found.add(id(other))
                left.append(other)


def _target(handoff: Any) -> Any:
    if not isinstance(handoff, Handoff):
        return handoff
    return handoff._agent_ref() if handoff._agent_ref is not None else None


def check_agents(agent: Any) -> None:
    """Raise Unsupported naming what cannot be made durable, InvalidConfiguration for what is no agent."""
    if not isinstance(agent, Agent):
        kind = f"{type(agent).__module__}.{type(agent).__qualname__}"
        if kind.startswith(("agents.realtime", "agents.voice")):
            msg = f"{type(agent).__name__}: realtime and voice have loops of their own, which have no seams for steps"
            raise Unsupported(msg)
        msg = f"durable_agent needs an agents.Agent, not {kind}"
        raise InvalidConfiguration(msg)
    for found in agents_in(agent):
        if type(found).__module__.startswith("agents.sandbox"):
            msg = f"agent {found.name!r} is a {type(found).__name__}: what happens in its sandbox cannot be recorded"
            raise Unsupported(msg)
        for tool in found.tools:
            _check_tool(found, tool)


def _check_tool(agent: Agent[Any], tool: Any) -> None:
    if isinstance(tool, FunctionTool) and getattr(tool, "_is_codex_tool", False):
        msg = (
            f"the Codex tool {tool.name!r} of agent {agent.name!r} works outside of this process and cannot be recorded"
        )
        raise Unsupported(msg)
