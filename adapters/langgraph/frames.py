"""Frames: what LangGraph counts in a task, counted for one tool call alone.

LangGraph gives the n-th ``interrupt()`` of a task the n-th answer, and the n-th sub-graph that is called in it the n-th
namespace. A tool call that is recorded is not entered again, so all that comes after it would be counted from the
wrong number; and calls that run side by side are counted as they arrive. So each call has counters and a namespace of
its own, derived from its step key, and its interrupts get their answers from the journal.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config
from langgraph.prebuilt import ToolRuntime
from langgraph.pregel._algo import LazyAtomicCounter
from langgraph.types import _interrupt_id

from durable.adapters.langgraph import keys
from durable.adapters.langgraph.questions import answers
from durable.adapters.langgraph.siblings import is_alone
from durable.adapters.langgraph.tasks import call_inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig

    from durable.segment import Segment
    from durable.step import Pending

RESUME = "__resume__"


@contextmanager
def framed(pending: Pending, tool_input: Any, options: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """The input and the options of a tool's ``run``, which in this block runs in a frame of its own."""
    config = options.get("config") or var_child_runnable_config.get()
    if config is None or keys.SCRATCHPAD not in keys.configurable(config):
        yield tool_input, options
        return
    config = _framed(config, pending)
    if isinstance(tool_input, dict):
        tool_input = {name: _with(config, value) for name, value in tool_input.items()}
    token = var_child_runnable_config.set(config)
    try:
        yield tool_input, ({**options, "config": config} if options.get("config") else options)
    finally:
        var_child_runnable_config.reset(token)


def _with(config: RunnableConfig, value: Any) -> Any:
    return replace(value, config=config) if isinstance(value, ToolRuntime) else value


def _framed(config: RunnableConfig, pending: Pending) -> RunnableConfig:
    segment, conf = pending.call.scope.segment, dict(keys.configurable(config))
    around = conf.get(keys.NAMESPACE) or ""
    # digits only: LangGraph takes such a part for the number of a call, and leaves it out where it asks for a path
    number = int(hashlib.sha256(pending.outcome.key.encode()).hexdigest()[:12], 16)
    namespace = f"{around}|{number}"
    conf[keys.SCRATCHPAD] = replace(
        conf[keys.SCRATCHPAD],
        interrupt_counter=LazyAtomicCounter(),
        subgraph_counter=LazyAtomicCounter(),
        get_null_resume=lambda _consume=False: None,
        resume=_answers(segment, namespace),
    )
    conf[keys.NAMESPACE] = namespace
    conf[keys.ALONE] = around if is_alone(pending.call.scope) else None
    send = conf.get(keys.SEND)
    if send is not None:
        conf[keys.SEND] = lambda writes: send(_without_answers(writes))
    conf[keys.CALL] = call_inside(segment)
    return {**config, "configurable": conf}


def _answers(segment: Segment, namespace: str) -> list[Any]:
    """The answers to the interrupts of a frame, in the order in which they were asked."""
    known, found = answers(segment), list[Any]()
    while (asked := _interrupt_id(namespace, len(found))) in known:
        found.append(known[asked])
    return found


def _without_answers(writes: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """A frame's answers are in the journal; among the task's own they would be given to its next interrupt."""
    return [(channel, value) for channel, value in writes if channel != RESUME]
