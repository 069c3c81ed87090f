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
    """Its name as a journal keeps it, "module.qualified_name"."""
    found: Any = fn
    while isinstance(found, functools.partial):
        found = found.func
    name = getattr(found, "__qualname__", type(found).__qualname__)
    return f"{getattr(found, '__module__', type(found).__module__)}.{name}"


def declared(tool: str, name: str) -> ToolPolicy | None:
    """The policy of this tool with ``compensate`` of this reference; None if there is none, or not clear which."""
    known = _declared.get(name, {})
    if tool in known:
        return known[tool]
    return next(iter(known.values())) if len(known) == 1 else None
