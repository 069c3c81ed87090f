"""Frames: what LangGraph counts in a task, counted for one tool call alone.

LangGraph gives the n-th ``interrupt()`` of a task the n-th answer, and the n-th sub-graph that is called in it the n-th
namespace. A tool call that is recorded is not entered again, so all that comes after it would be counted from the
wrong number; and calls that run side by side are counted as they arrive. So each call has counters and a namespace of
its own, derived from its step key, and its interrupts get their answers from the journal.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config
from langgraph.prebuilt import ToolRuntime
from langgraph.pregel._algo import LazyAtomicCounter
from langgraph.types import _interrupt_id

from durable.adapters.langgraph.seams.questions import answers
from durable.adapters.langgraph.seams.tasks import call_inside
from durable.adapters.langgraph.state import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig

    from durable.live.scope import Scope
    from durable.live.segment import Segment
    from durable.step.call import Pending

RESUME = "__resume__"

_alone: ContextVar[Scope | None] = ContextVar("durable_tool_alone", default=None)


def calls_in(scope: Scope | None, count: int) -> None:
    """Remember how many calls a ToolNode in this scope was given."""
    _alone.set(scope if count == 1 else None)


@contextmanager
def framed(pending: Pending, tool_input: Any, options: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Return the input and the options of a tool's ``run``, which in this block runs in a frame of its own."""
    config = options.get("config") or var_child_runnable_config.get()
    with frame(config, pending.call.scope, pending.outcome.key) as inner:
        if inner is None:
            yield tool_input, options
            return
        if isinstance(tool_input, dict):
            tool_input = {name: _with(inner, value) for name, value in tool_input.items()}
        yield tool_input, ({**options, "config": inner} if options.get("config") else options)


@contextmanager
def frame(config: RunnableConfig | None, scope: Scope, key: str) -> Iterator[RunnableConfig | None]:
    """Return the config of a frame, in which the block runs; None where there is no task around."""
    if config is None or keys.SCRATCHPAD not in keys.configurable(config):
        yield None
        return
    inner = _framed(config, scope, key)
    token = var_child_runnable_config.set(inner)
    try:
        yield inner
    finally:
        var_child_runnable_config.reset(token)


def _with(config: RunnableConfig, value: Any) -> Any:
    return replace(value, config=config) if isinstance(value, ToolRuntime) else value


def _framed(config: RunnableConfig, scope: Scope, key: str) -> RunnableConfig:
    segment, conf = scope.segment, dict(keys.configurable(config))
    around = conf.get(keys.NAMESPACE) or ""
    # digits only: LangGraph takes such a part for the number of a call, and leaves it out where it asks for a path
    number = int(hashlib.sha256(key.encode()).hexdigest()[:12], 16)
    namespace = f"{around}|{number}"
    conf[keys.SCRATCHPAD] = replace(
        conf[keys.SCRATCHPAD],
        interrupt_counter=LazyAtomicCounter(),
        subgraph_counter=LazyAtomicCounter(),
        get_null_resume=lambda _consume=False: None,
        resume=_answers(segment, namespace),
    )
    conf[keys.NAMESPACE] = namespace
    conf[keys.ALONE] = (conf.get(keys.ALONE) or around) if _alone.get() is scope else None
    send = conf.get(keys.SEND)
    if send is not None:
        conf[keys.SEND] = lambda writes: send(_without_answers(writes))
    conf[keys.CALL] = call_inside(segment)
    return {**config, "configurable": conf}


def _answers(segment: Segment, namespace: str) -> list[Any]:
    """Return the answers to the interrupts of a frame, in the order in which they were asked."""
    if (replies := segment.attachments.get("langgraph.answers")) is None:  # all of them are taken before the graph runs
        replies = segment.attachments["langgraph.answers"] = answers(segment)
    recorded: list[Any] = []
    while (interrupt_id := _interrupt_id(namespace, len(recorded))) in replies:
        recorded.append(replies[interrupt_id])
    return recorded


def _without_answers(writes: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Leave out a frame's answers: they are in the journal, and would be given to the task's next interrupt."""
    return [(channel, value) for channel, value in writes if channel != RESUME]
