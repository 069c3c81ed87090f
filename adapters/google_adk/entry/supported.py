"""What cannot be made durable is refused by name, where the app is wrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.adk.apps.app import App

_REFUSED = {
    "RemoteA2aAgent": "what a remote agent does cannot be recorded or resumed from here; call it from a tool",
    "ManagedAgent": "its loop runs at the provider and cannot be recorded or resumed from here; call it from a tool",
    "LangGraphAgent": "its graph runs outside of any step; use durable.adapters.langgraph for the graph itself",
}
_IN_THE_MODEL = frozenset({"BuiltInCodeExecutor"})
"""Code executors that run inside the model's answer, whose record covers them."""


def refuse_unsupported(app: App) -> None:
    """Raise Unsupported for an agent, or a part of one, that this adapter has no seam for."""
    for agent in _agents(app.root_agent):
        for cls in type(agent).__mro__:
            if cls.__name__ in _REFUSED:
                msg = f"{cls.__name__} {agent.name!r}: {_REFUSED[cls.__name__]}"
                raise Unsupported(msg)
        executor = getattr(agent, "code_executor", None)
        if executor is not None and type(executor).__name__ not in _IN_THE_MODEL:
            msg = (
                f"code_executor={type(executor).__name__} of agent {agent.name!r}: code that a model wrote runs "
                "outside of any step; give it to the agent as a tool"
            )
            raise Unsupported(msg)


def _agents(root: Any) -> Iterator[Any]:
    visited: set[int] = set()
    queue = [root]
    while queue:
        agent = queue.pop()
        if agent is None or id(agent) in visited:
            continue
        visited.add(id(agent))
        yield agent
        queue.extend(getattr(agent, "sub_agents", None) or ())
        queue.extend(agent._iter_static_children() if hasattr(agent, "_iter_static_children") else ())
        queue.extend(getattr(tool, "agent", None) for tool in getattr(agent, "tools", None) or ())
