"""Declared policies: how to undo a call, found again in a process that never ran it.

A journal names code, it never loads any: a name that it gives is only looked up among what this process has declared
itself, by ``@tool(compensate=...)``.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.declare.policy import ToolPolicy


_declared: dict[str, dict[str, ToolPolicy]] = {}
"""By the reference of ``compensate``, and then by the name of the tool: functions made in a loop have one reference."""


def declare(tool: str, policy: ToolPolicy) -> None:
    """Make a policy with ``compensate`` known to this process. A later one of the same tool replaces it."""
    if policy.compensate is not None:
        _declared.setdefault(reference(policy.compensate), {})[tool] = policy


def reference(fn: Callable[..., Any]) -> str:
    """Return its name as a journal keeps it, "module.qualified_name"."""
    inner: Any = fn
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{getattr(inner, '__module__', type(inner).__module__)}.{name}"


def declared(tool: str, name: str) -> ToolPolicy | None:
    """Return the policy of this tool with ``compensate`` of this reference.

    None if there is none, or it is not clear.
    """
    by_tool = _declared.get(name, {})
    if tool in by_tool:
        return by_tool[tool]
    return next(iter(by_tool.values())) if len(by_tool) == 1 else None
