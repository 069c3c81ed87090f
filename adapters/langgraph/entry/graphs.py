"""Graphs: whichever runs inside a durable execution has durable nodes, wherever it comes from.

The seam is ``Pregel.stream`` / ``astream``, through which every run of a graph goes. A graph that is a node, stands in
a closure, is inside a tool, or is made at run time: its run is one of a wrapped copy, and the graph stays as it was.
The methods are hooked once, and do nothing outside of executions.
"""

from __future__ import annotations

import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from langgraph._internal._config import ensure_config
from langgraph.pregel import Pregel

from durable.adapters.langgraph.entry.schemas import types_of
from durable.adapters.langgraph.entry.wrap import wrap
from durable.adapters.langgraph.seams.nodes import BARRIER, DurableNode, made_from
from durable.adapters.langgraph.state import keys
from durable.kit import hook

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping

    from langchain_core.runnables import RunnableConfig

    from durable.adapters.langgraph.state.saver import DurableSaver

_copies: WeakKeyDictionary[Pregel[Any, Any, Any, Any], Pregel[Any, Any, Any, Any]] = WeakKeyDictionary()
_lock = threading.Lock()


def hook_graphs() -> None:
    """Put the hooks in place, once per process."""
    hook(Pregel, "stream", _streaming)
    hook(Pregel, "astream", _astreaming)


def _streaming(stream: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
    def durable_stream(
        self: Any,
        input: Any,  # noqa: A002 - LangGraph's name
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        graph, config, options, came_from = _inside(self, config, options)
        if came_from is not None:
            saver, checkpoint_id, namespace = came_from
            saver.wait_durable(checkpoint_id, namespace, BARRIER)
        yield from stream(graph, input, config, **options)

    return durable_stream


def _astreaming(astream: Callable[..., AsyncGenerator[Any, None]]) -> Callable[..., Any]:
    async def durable_astream(
        self: Any,
        input: Any,  # noqa: A002 - LangGraph's name
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        graph, config, options, came_from = _inside(self, config, options)
        if came_from is not None:
            saver, checkpoint_id, namespace = came_from
            await saver.wait_durable_async(checkpoint_id, namespace, BARRIER)
        async with aclosing(astream(graph, input, config, **options)) as chunks:
            async for chunk in chunks:
                yield chunk

    return durable_astream


def _inside(
    graph: Any, config: RunnableConfig | None, options: dict[str, Any]
) -> tuple[Any, RunnableConfig | None, dict[str, Any], tuple[DurableSaver, str, str] | None]:
    """Return the graph to run, its config and options: as they are outside of executions.

    Inside of one also the checkpoint that the task around was made from. All that is below is keyed by that task, so
    it must be durable before anything below begins, also where no node of ours stands between.
    """
    around = ensure_config(graph.config, config)
    segment = keys.segment_in(around)
    if segment is None:
        return graph, config, options, None
    if not any(isinstance(node.bound, DurableNode) for node in graph.nodes.values()):
        segment.runtime.register_types(types_of(graph))
        graph = _copy(graph)
    came_from = made_from(around) if keys.is_nested(around) else None
    conf = keys.configurable(around)
    if changes := _changes(graph, conf):
        if options.get("stream_mode") is None and not keys.is_nested(config):
            options = {**options, "stream_mode": graph.stream_mode}
        config = {**(config or {}), "configurable": {**conf, **changes}}
    return graph, config, options, came_from


def _changes(graph: Any, conf: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is different in the config of a graph that keeps nothing, or that is called by a tool alone."""
    changes: dict[str, Any] = {}
    if graph.checkpointer is False and conf.get(keys.UNKEPT) is None:
        changes[keys.UNKEPT] = conf.get(keys.NAMESPACE) or ""
    if conf.get(keys.ALONE) is not None:
        changes |= {keys.NAMESPACE: conf[keys.ALONE], keys.ALONE: None}
    return changes


def _copy(graph: Pregel[Any, Any, Any, Any]) -> Pregel[Any, Any, Any, Any]:
    with _lock:
        if graph not in _copies:
            _copies[graph] = wrap(graph)
        return _copies[graph]
