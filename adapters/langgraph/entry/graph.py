"""Durable graphs: a compiled graph with the same interface, each run of it an execution.

``invoke``, ``ainvoke``, ``batch`` and the event streams all come through ``stream`` and ``astream``, which alone
are overridden. A call claims its execution, drives the bare graph in it, and closes it as what came of it says; a
worker does the same through ``run``.
"""

from __future__ import annotations

import copy
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langgraph._internal._config import merge_configs
from langgraph.errors import GraphDrained
from langgraph.pregel import Pregel

from durable.adapters.langgraph.entry.modes import Modes
from durable.adapters.langgraph.entry.runs import (
    ASYNC,
    FLAVOUR,
    GraphApp,
    finish,
    given,
    open_run,
    prepare,
    refuse_to_repeat,
    with_durability,
)
from durable.adapters.langgraph.entry.wrap import needs_async
from durable.adapters.langgraph.seams.suspension import graph_interrupt
from durable.adapters.langgraph.state import keys
from durable.errors import DurableError, Suspended, ThreadBusy
from durable.kit import driving, opened
from durable.run.handle import outcome

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from langchain_core.runnables import RunnableConfig
    from langchain_core.runnables.graph import Graph

    from durable.live.segment import Segment


class DurableGraph(Pregel[Any, Any, Any, Any]):
    """Mixed into the class of a compiled graph; see ``durable_graph``."""

    durable: GraphApp

    def stream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Iterator[Any]:  # noqa: A002 - LangGraph's signature, and execution_id=, tags=
        """Stream as the bare graph does. With the same ``execution_id`` and input, a call resumes exactly.

        ``tags`` are those of the execution it starts, as of ``Runtime.start``.
        """
        execution_id, tags = options.pop("execution_id", None), options.pop("tags", None)
        configured = given(self.durable, self.config, config)
        if configured is None:
            yield from super().stream(input, config, **options)
            return
        modes = self._modes(options)
        configured = with_durability(configured, options)
        drive = open_run(self.durable, input, configured, options.get("context"), execution_id, tags=tags)
        if drive.ended:
            yield from modes.ended(outcome(drive.segment.execution))
            return
        with driving(drive, shows_waiting=True, gives_back=(GraphDrained,)):
            yield from self._driven(drive.segment, config, options, modes)
            drive.output = modes.last

    async def astream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> AsyncIterator[Any]:  # noqa: A002 - LangGraph's signature, and execution_id=, tags=
        """Stream asynchronously as ``stream`` does; the event loop never waits for the database."""
        execution_id, tags = options.pop("execution_id", None), options.pop("tags", None)
        configured = given(self.durable, self.config, config)
        if configured is None:
            async for chunk in super().astream(input, config, **options):
                yield chunk
            return
        modes = self._modes(options)
        called = (input, with_durability(configured, options), options.get("context"), execution_id)
        open_call = partial(open_run, self.durable, *called, is_async=True, tags=tags)
        drive = await opened(self.durable.runtime, open_call)
        if drive.ended:
            for chunk in modes.ended(outcome(drive.segment.execution)):
                yield chunk
            return
        async with (
            driving(drive, shows_waiting=True, gives_back=(GraphDrained,)),
            aclosing(self._adriven(drive.segment, config, options, modes)) as chunks,
        ):
            async for chunk in chunks:
                yield chunk
            drive.output = modes.last

    def _driven(
        self, segment: Segment, config: RunnableConfig | None, options: dict[str, Any], modes: Modes
    ) -> Iterator[Any]:
        try:
            value, config, context = prepare(self.durable, self, segment, config)
        except Suspended:
            yield from modes.stopped(graph_interrupt(segment, "").args[0])
            raise
        ends = _keeps_ends(options, config)
        options = _safe({**options, "stream_mode": modes.asked}, context, ends=ends)
        try:
            for chunk in super().stream(value, config, **options):
                yield from modes.take(chunk)
        except Exception as exc:
            if ends and not isinstance(exc, DurableError):
                self.durable.saver.keep_ends(segment)
            raise
        if ends:
            self.durable.saver.keep_ends(segment)
        finish(self, segment, breakpoints=self._breaks(options))

    async def _adriven(
        self, segment: Segment, config: RunnableConfig | None, options: dict[str, Any], modes: Modes
    ) -> AsyncGenerator[Any, None]:
        on_journal_thread = segment.runtime.database.on_journal_thread
        try:
            value, config, context = await on_journal_thread(prepare, self.durable, self, segment, config)
        except Suspended:
            for chunk in modes.stopped(graph_interrupt(segment, "").args[0]):
                yield chunk
            raise
        ends = _keeps_ends(options, config)
        options = _safe({**options, "stream_mode": modes.asked}, context, ends=ends)
        bare = cast("AsyncGenerator[Any, None]", super().astream(value, config, **options))
        try:
            async with aclosing(bare) as chunks:
                async for chunk in chunks:
                    for shaped in modes.take(chunk):
                        yield shaped
        except Exception as exc:
            if ends and not isinstance(exc, DurableError):
                await on_journal_thread(self.durable.saver.keep_ends, segment)
            raise
        if ends:
            await on_journal_thread(self.durable.saver.keep_ends, segment)
        await on_journal_thread(finish, self, segment, breakpoints=self._breaks(options))

    def run_segment(self, segment: Segment) -> Any:
        """Drive a claimed execution to its end or until it waits, as a worker does; an awaitable for async graphs."""
        modes = Modes("values", version="v1", subgraphs=False)
        flavour = segment.execution.tags.get(FLAVOUR)
        if flavour == ASYNC or (flavour is None and needs_async(self)):
            return self._arun_segment(segment, modes)
        for _ in self._driven(segment, None, {"output_keys": self.output_channels}, modes):
            pass
        return modes.last

    async def _arun_segment(self, segment: Segment, modes: Modes) -> Any:
        async for _ in self._adriven(segment, None, {"output_keys": self.output_channels}, modes):
            pass
        return modes.last

    def bulk_update_state(self, config: RunnableConfig, supersteps: Any) -> RunnableConfig:
        """Update the state as the bare graph does.

        Raises ThreadBusy while an execution is running on the thread, and Unsupported while one waits inside a node in
        which an effect has happened: on the new state that node would begin anew, and the effect would happen again.
        """
        self._refuse_running(config)
        return super().bulk_update_state(config, supersteps)

    async def abulk_update_state(self, config: RunnableConfig, supersteps: Any) -> RunnableConfig:
        """Update the state as ``bulk_update_state`` does."""
        await self.durable.runtime.database.on_journal_thread(self._refuse_running, config)
        return await super().abulk_update_state(config, supersteps)

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """Return the drawing of the bare graph, with the nodes that it was made of."""
        return self.durable.bare.get_graph(merge_configs(self.config, config), xray=xray)

    async def aget_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """Return what ``get_graph`` returns."""
        return await self.durable.bare.aget_graph(merge_configs(self.config, config), xray=xray)

    def copy(self, update: dict[str, Any] | None = None) -> Any:
        """Return a copy with other attributes; what was wrapped stays wrapped."""
        copied = copy.copy(self)
        copied.__dict__.update(update or {})
        return copied

    def _refuse_running(self, config: RunnableConfig) -> None:
        thread, runtime = str(keys.configurable(config).get("thread_id")), self.durable.runtime
        for execution in runtime.executions(app=self.durable.name, thread=thread, status=("running", "suspended")):
            if execution.status == "running":
                raise ThreadBusy(thread, execution.id, "running")
            refuse_to_repeat(runtime.get(execution.id).history(), execution.id)

    def _modes(self, options: dict[str, Any]) -> Modes:
        stream_mode = options.get("stream_mode") or self.stream_mode
        return Modes(stream_mode, version=options.get("version", "v1"), subgraphs=options.get("subgraphs", False))

    def _breaks(self, options: dict[str, Any]) -> bool:
        named = (*(options.get("interrupt_before") or ()), *(options.get("interrupt_after") or ()))
        return bool(named or self.interrupt_before_nodes or self.interrupt_after_nodes)


def _keeps_ends(options: dict[str, Any], config: RunnableConfig | None) -> bool:
    """True if the caller, or the call that a worker goes on with, asked for ``durability="exit"``."""
    asked = options.get("durability") or keys.configurable(with_durability(config or {}, options)).get(keys.DURABILITY)
    return asked == "exit"


def _safe(options: dict[str, Any], context: Any, *, ends: bool) -> dict[str, Any]:
    """``exit`` would keep nothing until the end: ``async``, safe with the barrier, is how such a graph is driven."""
    if options.get("checkpoint_during") is False:
        options["checkpoint_during"] = True
    elif ends:
        options["durability"] = "async"
    if context is not None and options.get("context") is None:
        options["context"] = context
    return options


def durable_class(graph: Pregel[Any, Any, Any, Any]) -> type[Any]:
    """Return the class of the wrapped graph: the given graph's own, with ours before it."""
    return type(f"Durable{type(graph).__name__}", (DurableGraph, type(graph)), {})
