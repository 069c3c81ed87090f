"""The types that an agent's own schemas name: its outputs may be rebuilt from storage, no others."""

from __future__ import annotations

import enum
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from agents import AgentOutputSchema
from pydantic import BaseModel

from durable.adapters.openai_agents.entry.graph import agents_in
from durable.declare.signature import plain

if TYPE_CHECKING:
    from agents import Agent


def types_of(agent: Agent[Any]) -> tuple[type, ...]:
    """Return the models, dataclasses and enums that the agents in reach, and their tools, say they return."""
    types: dict[type, None] = {}
    for inner in agents_in(agent):
        output = inner.output_type
        _collect(output.output_type if isinstance(output, AgentOutputSchema) else output, types)
        for tool in inner.tools:
            _collect(_returned(getattr(tool, "__wrapped__", None)), types)
    return tuple(types)


def _collect(annotation: Any, types: dict[type, None]) -> None:
    for part in get_args(annotation):
        _collect(part, types)
    kind = annotation if isinstance(annotation, type) else None
    if kind is None or kind in types:
        return
    if issubclass(kind, enum.Enum):
        types[kind] = None
    elif issubclass(kind, BaseModel) or is_dataclass(kind):
        types[kind] = None
        for inner in _annotations(kind):
            _collect(inner, types)


def _returned(function: Any) -> Any:
    """Return what a function says it returns, None if it does not."""
    try:
        return get_type_hints(plain(function)).get("return")
    except Exception:  # noqa: BLE001 - no function, or an annotation of the user's that does not resolve
        return None


def _annotations(kind: type) -> list[Any]:
    try:
        return list(get_type_hints(kind).values())
    except Exception:  # noqa: BLE001 - an annotation of the user's that does not resolve names no type
        return []
