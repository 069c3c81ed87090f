"""The types that an app's own schemas name: they may be rebuilt from storage, no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph._internal._serde import build_serde_allowlist  # noqa: PLC2701 - the collector that compile() itself uses
from langgraph.func import entrypoint

from durable.adapters.langgraph.serde import loaded_types

if TYPE_CHECKING:
    from langgraph.pregel import Pregel


def types_of(graph: Pregel[Any, Any, Any, Any]) -> tuple[type, ...]:
    """All types in the state, input, output and context schemas and in the channels of a graph and its sub-graphs."""
    from durable.adapters.langgraph.wrap import graphs_in  # noqa: PLC0415 - wrap imports the saver, which uses this

    found: dict[type, None] = {entrypoint.final: None}
    for inner in graphs_in(graph):
        builder = getattr(inner, "builder", None)
        schemas = list(getattr(builder, "schemas", None) or ())
        schemas += [getattr(inner, "context_schema", None), *_node_schemas(builder)]
        names = build_serde_allowlist(schemas=[s for s in schemas if s is not None], channels=dict(inner.channels))
        found.update(dict.fromkeys(loaded_types(names)))
    return tuple(found)


def _node_schemas(builder: Any) -> list[Any]:
    return [spec.input_schema for spec in (getattr(builder, "nodes", None) or {}).values()]
