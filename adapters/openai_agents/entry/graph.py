"""Agents in reach: those an agent hands off to, or uses as tools; and what in them cannot be made durable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import Agent, FunctionTool, Handoff

from durable.errors import InvalidConfiguration, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator


def agents_in(agent: Agent[Any]) -> Iterator[Agent[Any]]:
    """The agent and all agents it reaches, each once; handoffs may go round in circles."""
    visited, queue = {id(agent)}, [agent]
    while queue:
        reached = queue.pop()
        yield reached
        for target in (
            *map(_target, reached.handoffs),
            *(getattr(tool, "_agent_instance", None) for tool in reached.tools),
        ):
            if isinstance(target, Agent) and id(target) not in visited:
                visited.add(id(target))
                queue.append(target)


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
    for reached in agents_in(agent):
        if type(reached).__module__.startswith("agents.sandbox"):
            msg = (
                f"agent {reached.name!r} is a {type(reached).__name__}: what happens in its sandbox cannot be recorded"
            )
            raise Unsupported(msg)
        for tool in reached.tools:
            _check_tool(reached, tool)


def _check_tool(agent: Agent[Any], tool: Any) -> None:
    if isinstance(tool, FunctionTool) and getattr(tool, "_is_codex_tool", False):
        msg = (
            f"the Codex tool {tool.name!r} of agent {agent.name!r} works outside of this process and cannot be recorded"
        )
        raise Unsupported(msg)
