"""The types that an app's own schemas name: they may be rebuilt from storage, no others."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Any, get_type_hints

from langgraph._internal._serde import _collect_from_type
from langgraph.func import _TaskFunction, entrypoint
from langgraph.pregel._utils import get_function_nonlocals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langgraph.pregel import Pregel


def types_of(graph: Pregel[Any, Any, Any, Any]) -> tuple[type, ...]:
    """All types in the state, input, output and context schemas and in the channels of a graph and its sub-graphs.

    Of the functional API the annotations of an entrypoint, and of each ``@task`` that a node calls, are the schema.
    """
    from durable.adapters.langgraph.entry.wrap import graphs_in  # noqa: PLC0415 - wrap imports the saver, which uses this

    types: dict[type, None] = {entrypoint.final: None}
    for inner in graphs_in(graph):
        builder = getattr(inner, "builder", None)
        schemas = list(getattr(builder, "schemas", None) or ())
        schemas += [getattr(inner, "context_schema", None), *_node_schemas(builder), *_annotations(inner)]
        for channel in dict(inner.channels).values():
            schemas += [getattr(channel, "ValueType", None), getattr(channel, "UpdateType", None)]
        types.update(dict.fromkeys(_named_in(schemas)))
        types.update(dict.fromkeys(type(name) for name in inner.nodes if type(name) is not str))  # members of an Enum
    return tuple(types)


def _named_in(schemas: Iterable[Any]) -> list[type]:
    """Return the classes that LangGraph's own walk through these schemas allows, also those local to a function."""
    allowed: set[tuple[str, ...]] = set()
    seen: set[Any] = set()
    for schema in schemas:
        if schema is not None:
            _collect_from_type(schema, allowed, seen, set())
    return [cls for cls in seen if isinstance(cls, type) and (cls.__module__, cls.__name__) in allowed]


def _node_schemas(builder: Any) -> list[Any]:
    return [spec.input_schema for spec in (getattr(builder, "nodes", None) or {}).values()]


def _annotations(graph: Pregel[Any, Any, Any, Any]) -> list[Any]:
    """The annotations of the nodes' functions and of the tasks they call, and what their answers are parsed into."""
    annotations: list[Any] = []
    functions = [getattr(node.bound, name, None) for node in graph.nodes.values() for name in ("func", "afunc")]
    visited: set[int] = set()
    while functions:
        function = functions.pop()
        if function is None or id(function) in visited:
            continue
        visited.add(id(function))
        annotations += _hints(function)
        reached = get_function_nonlocals(function)
        functions += [value.func for value in reached if isinstance(value, _TaskFunction)]
        annotations += _response_formats(getattr(function, "__name__", ""), reached)
    return annotations


def _hints(function: Any) -> list[Any]:
    try:
        return list(get_type_hints(function).values())
    except Exception:  # noqa: BLE001 - an annotation of the user's that does not resolve names no type
        return []


def _response_formats(name: str, reached: list[Any]) -> list[Any]:
    """The ``response_format`` of a prebuilt agent, which is nowhere else than in the closure of its node."""
    formats = [value for value in reached if type(value).__module__ == "langchain.agents.structured_output"]
    schemas = [getattr(value, "schema", None) for value in formats]
    if name.endswith("generate_structured_response"):
        schemas += [value[-1] if isinstance(value, tuple) and value else value for value in reached]
    return [schema for schema in schemas if isinstance(schema, (type, UnionType))]
