"""Wrapping: a copy of a compiled graph whose nodes are steps and whose checkpoints go to our saver.

The graph given stays as it was. The graphs that its nodes are or call are wrapped when they run.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.pregel._utils import get_function_nonlocals

from durable.adapters.langgraph.seams.nodes import DurableNode
from durable.adapters.langgraph.state.saver import DurableSaver
from durable.errors import InvalidConfiguration, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langgraph.pregel._read import PregelNode

    from durable.runtime import Runtime

START = "__start__"


def compiled(graph: Any) -> Pregel[Any, Any, Any, Any]:
    """The compiled graph of what the user gave. Raises InvalidConfiguration, and Unsupported for a remote graph."""
    if isinstance(graph, StateGraph):
        return graph.compile()
    if isinstance(graph, Pregel):
        return graph
    if type(graph).__name__ == "RemoteGraph":
        msg = "RemoteGraph: its nodes run in another process, which must be the one that is made durable"
        raise Unsupported(msg)
    msg = f"durable_graph needs a StateGraph, a compiled graph or an @entrypoint, not {type(graph).__name__}"
    raise InvalidConfiguration(msg)


def saver_for(graph: Pregel[Any, Any, Any, Any], runtime: Runtime) -> DurableSaver:
    """The graph's own DurableSaver, or a new one in place of none or of one that keeps everything in memory.

    Raises Unsupported for another persistent saver: its threads would silently be left behind; InvalidConfiguration
    for a DurableSaver on another runtime.
    """
    checkpointer = graph.checkpointer
    if isinstance(checkpointer, DurableSaver):
        if checkpointer._runtime is not runtime:
            msg = "the graph was compiled with a DurableSaver of another runtime; wrap it with that one"
            raise InvalidConfiguration(msg)
        return checkpointer
    if checkpointer is None or isinstance(checkpointer, (bool, InMemorySaver)):
        return DurableSaver(runtime)
    msg = (
        f"checkpointer={type(checkpointer).__name__}: its writes are not fenced and its threads would be left behind; "
        "compile the graph without a checkpointer (or with DurableSaver(runtime)) to start new threads durably"
    )
    raise Unsupported(msg)


def wrap(graph: Pregel[Any, Any, Any, Any]) -> Pregel[Any, Any, Any, Any]:
    """A copy whose nodes are durable. ``copy.copy`` keeps what ``Pregel.copy`` loses (output mappers, allow-list)."""
    wrapped = copy.copy(graph)
    wrapped.nodes = {name: _node(name, node) for name, node in graph.nodes.items()}
    return wrapped


def _node(name: str, node: PregelNode) -> PregelNode:
    bound = node.bound
    if name == START or isinstance(bound, (DurableNode, Pregel)):
        return node
    return node.copy({"bound": DurableNode(bound, name)})


def called_by(node: PregelNode) -> list[Pregel[Any, Any, Any, Any]]:
    """The graphs that a node's function calls, as far as they stand in its closure or its globals.

    LangGraph finds them too, but for those without checkpoints, in which it has no interest.
    """
    bound = node.bound.inner if isinstance(node.bound, DurableNode) else node.bound
    functions = [function for name in ("func", "afunc") if (function := getattr(bound, name, None)) is not None]
    reached = [value for function in functions for value in get_function_nonlocals(function)]
    return list(
        {id(graph): graph for graph in (*(node.subgraphs or ()), *reached) if isinstance(graph, Pregel)}.values()
    )


def graphs_in(graph: Pregel[Any, Any, Any, Any]) -> Iterator[Pregel[Any, Any, Any, Any]]:
    """The graph, and the graphs that its nodes are or call, each once."""
    reached = {id(graph): graph}
    queue = [graph]
    while queue:
        inner = queue.pop()
        yield inner
        for node in inner.nodes.values():
            for target in (node.bound, *called_by(node)):
                if isinstance(target, Pregel) and id(target) not in reached:
                    reached[id(target)] = target
                    queue.append(target)


def needs_async(graph: Pregel[Any, Any, Any, Any]) -> bool:
    """Whether some node or tool of it has no synchronous form."""
    for node in (node for inner in graphs_in(graph) for node in inner.nodes.values()):
        bound = node.bound.inner if isinstance(node.bound, DurableNode) else node.bound
        if getattr(bound, "afunc", None) is not None and getattr(bound, "func", None) is None:
            return True
        for tool in getattr(bound, "tools_by_name", {}).values():
            if getattr(tool, "coroutine", None) is not None and getattr(tool, "func", None) is None:
                return True
    return False
