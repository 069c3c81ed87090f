"""``durable_graph``: the one line."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from durable.adapters.langgraph.entry.forked import forked
from durable.adapters.langgraph.entry.graph import durable_class
from durable.adapters.langgraph.entry.graphs import hook_graphs
from durable.adapters.langgraph.entry.runs import GraphApp, GraphCall
from durable.adapters.langgraph.entry.schemas import types_of
from durable.adapters.langgraph.entry.wrap import compiled, saver_for, wrap
from durable.adapters.langgraph.seams.models import hook_models
from durable.adapters.langgraph.seams.tool_node import hook_tool_nodes
from durable.adapters.langgraph.seams.tools import hook_tools
from durable.adapters.langgraph.state.serde import FRAMEWORK_TYPES
from durable.kit import register

if TYPE_CHECKING:
    from durable.runtime import Runtime


def durable_graph(
    graph: Any,
    runtime: Runtime,
    *,
    name: str | None = None,
    version: str | None = None,
    on_suspended: str = "supersede",
) -> Any:
    """The same graph, made durable: same interface, every run an execution of ``runtime`` under ``name``.

    ``graph`` is a StateGraph, a compiled graph (``create_agent``, ``create_react_agent``) or an ``@entrypoint``; it
    stays as it was. ``name`` defaults to the graph's own. ``invoke(None, config)`` continues what was left on a
    thread; ``execution_id=`` makes a call idempotent; workers continue what is abandoned. ``on_suspended="refuse"``
    raises ThreadBusy for new input on a thread that waits for an answer, instead of superseding what waits.

    Raises Unsupported for what cannot be made durable, by name; InvalidConfiguration for what is no graph.
    """
    bare = compiled(graph)
    hook_graphs()
    hook_tool_nodes()
    hook_tools()
    hook_models()
    saver = saver_for(bare, runtime)
    wrapped: Any = wrap(bare)
    wrapped.__class__ = durable_class(bare)
    wrapped.checkpointer = saver
    app = wrapped.durable = GraphApp(name or bare.get_name(), runtime, saver, bare, on_suspended, bare.config)
    types = (*FRAMEWORK_TYPES, GraphCall, *types_of(bare))
    register(
        runtime,
        app.name,
        wrapped.run_segment,
        version=version,
        types=types,
        on_suspended=on_suspended,
        forked=partial(forked, runtime),
    )
    return wrapped
