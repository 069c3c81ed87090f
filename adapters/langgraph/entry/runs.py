"""Runs: which execution a call of the graph belongs to, and how the graph goes on in it.

New input starts an execution; ``None`` and ``Command(resume=...)`` continue the one that is open on the thread. An
execution that has written a checkpoint goes on from there, whatever it was started with, so its input is never
applied twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langgraph._internal._config import ensure_config, merge_configs
from langgraph.pregel._task_status import read_task_statuses
from langgraph.types import Command

from durable.adapters.langgraph.entry.drift import check_nodes
from durable.adapters.langgraph.entry.going_back import Line, goes_on, origin
from durable.adapters.langgraph.seams.questions import (
    answers,
    decide_natively,
    open_breakpoint,
    pass_breakpoints,
    take_natives,
)
from durable.adapters.langgraph.state import keys
from durable.checkpoint.codec.names import stored_as
from durable.declare.effects import effect_of
from durable.declare.ids import new_id
from durable.errors import Unsupported
from durable.kit import Invocation, find_open, start, take
from durable.live.past import go_back
from durable.record.events import StepDone, unpack_if

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import CheckpointTuple
    from langgraph.pregel import Pregel

    from durable.adapters.langgraph.state.saver import DurableSaver
    from durable.checkpoint.records import Record
    from durable.kit import Drive
    from durable.live.segment import Segment
    from durable.runtime import Runtime

_PLACE = frozenset({"checkpoint_id", "checkpoint_ns", "checkpoint_map"})
_NOT_KEPT = frozenset({"thread_id", "checkpoint_ns", "checkpoint_map", "execution_id"})
FLAVOUR, ASYNC = "langgraph", "async"
"""The tag that says how an execution was called. A worker goes on in that way: middleware may have one form only."""


@stored_as("durable.adapters.langgraph.runs:GraphCall")
@dataclass(frozen=True)
class GraphCall:
    """Input of an execution that was started with more than the graph's input: what a worker needs to go on with it."""

    input: Any = None
    configurable: Mapping[str, Any] = field(default_factory=dict)
    context: Any = None
    recursion_limit: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphApp:
    """Wrapped graph: its name, runtime and saver, the graph as it was, and the config it came with."""

    name: str
    runtime: Runtime
    saver: DurableSaver
    bare: Pregel[Any, Any, Any, Any]
    on_suspended: str = "supersede"
    config: RunnableConfig | None = None


def given(app: GraphApp, bound: RunnableConfig | None, config: RunnableConfig | None) -> RunnableConfig | None:
    """Return what the caller configured, by ``with_config`` and in the call; None inside of a durable run.

    What the graph came with is left out: it may change with a deployment, and is there again without being stored.
    Raises Unsupported inside a graph that is not durable.
    """
    around = ensure_config(bound, config)
    if keys.segment_in(around) is not None:
        return None
    if keys.is_nested(around):
        msg = (
            f"graph {app.name!r} is durable, but runs as a part of a graph that is not: wrap the outer graph (what it "
            "contains becomes durable with it), or give it a thread_id of its own"
        )
        raise Unsupported(msg)
    merged_config: Any = merge_configs(bound, config)
    for part in ("configurable", "metadata"):
        own: Any = (app.config or {}).get(part) or {}
        values = (merged_config.get(part) or {}).items()
        merged_config[part] = {key: value for key, value in values if own.get(key) != value}
    if merged_config.get("recursion_limit") == (app.config or {}).get("recursion_limit"):
        merged_config.pop("recursion_limit", None)
    configured: RunnableConfig = merged_config
    return configured


def with_durability(config: RunnableConfig, options: Mapping[str, Any]) -> RunnableConfig:
    """The config with what was asked of durability where LangGraph has it, so that a worker knows it too."""
    asked = "exit" if options.get("checkpoint_during") is False else options.get("durability")
    if asked != "exit":
        return config
    return {**config, "configurable": {**keys.configurable(config), keys.DURABILITY: asked}}


def call_of(value: Any, config: RunnableConfig | None, context: Any) -> Any:
    """Return what is stored as the execution's input: the bare graph input, if the call says nothing else."""
    config = config or {}
    configurable = {
        key: setting
        for key, setting in keys.configurable(config).items()
        if key not in _NOT_KEPT and (not key.startswith("__") or key == keys.DURABILITY) and setting is not None
    }
    metadata = dict(config.get("metadata") or {})
    if not configurable and context is None and not metadata and "recursion_limit" not in config:
        return value
    return GraphCall(value, configurable, context, config.get("recursion_limit"), metadata)


def open_run(  # noqa: PLR0913 - a call of the graph, and how it was made
    app: GraphApp,
    value: Any,
    config: RunnableConfig | None,
    context: Any,
    execution_id: str | None,
    *,
    is_async: bool = False,
    tags: Mapping[str, str] | None = None,
) -> Drive:
    """Get hold of the execution this call belongs to. Blocks.

    Raises ThreadBusy, ExecutionBusy, ExecutionCancelled, ExecutionConflict, InvalidDecision.
    """
    conf = keys.configurable(config)
    thread, named = _thread_and_name(conf, execution_id)
    resumes = _only_resumes(value)
    if resumes or (value is None and not _travels(app, thread, conf)):
        drive = _continue(app, thread, named, value.resume if resumes else None, resumes=resumes)
        if drive is not None:
            return drive
        value = None
    if thread is None:
        thread = named = new_id() if named is None else named
    flavour = {FLAVOUR: ASYNC if is_async else "sync"}
    call = call_of(value, config, context)
    invocation = Invocation(app.name, call, thread, named, app.on_suspended, {**(tags or {}), **flavour})
    return take(app.runtime, start(app.runtime, invocation))


def _thread_and_name(conf: Mapping[str, Any], execution_id: str | None) -> tuple[str | None, str | None]:
    thread = conf.get("thread_id")
    return None if thread is None else str(thread), conf.get("execution_id") if execution_id is None else execution_id


def _stands(app: GraphApp, thread: str) -> bool:
    """True if the thread stands where its newest execution left it."""
    line = Line(app.runtime, app.saver, app.name, thread)
    return not line.executions or goes_on(line, line.executions[0], {})


def _continue(app: GraphApp, thread: str | None, named: str | None, resume: Any, *, resumes: bool) -> Drive | None:
    """Go on with what is open on the thread, with the caller's answer to it; None if nothing is."""
    if named is None and thread is not None and not _stands(app, thread):
        return None
    execution = find_open(app.runtime, app.name, thread=thread, execution_id=named)
    if execution is None or execution.ended:
        return None
    if resumes:
        decide_natively(app.runtime, execution.id, resume)
    pass_breakpoints(app.runtime, execution.id)
    return take(app.runtime, execution)


def _only_resumes(value: Any) -> bool:
    if not isinstance(value, Command) or value.resume is None:
        return False
    if value.update or value.goto:
        msg = (
            "Command(resume=...) with update= or goto= in one call: a decision is recorded by itself; change the state "
            "with update_state(...) first, then resume"
        )
        raise Unsupported(msg)
    return True


def refuse_to_repeat(history: Iterable[Record], execution_id: str) -> None:
    """Raise Unsupported if a ``once`` effect has happened inside a node that has not finished."""
    events = ((record.step_key or "", unpack_if(record, StepDone)) for record in history)
    finished = {key: event for key, event in events if event is not None}
    for key, event in finished.items():
        around = key.rpartition("/")[0]
        if effect_of(event.effect or "").settles and "node:" in around and not _has_finished(around, finished):
            msg = (
                f"the state cannot be changed now: execution {execution_id!r} waits inside of a node in which "
                f"{event.name!r} has run, and it would run again; decide what it waits for or cancel it first"
            )
            raise Unsupported(msg)


def _has_finished(key: str, finished: Mapping[str, StepDone]) -> bool:
    parts = key.split("/")
    return any("/".join(parts[: count + 1]) in finished for count in range(len(parts)))


def _travels(app: GraphApp, thread: str | None, conf: Mapping[str, Any]) -> bool:
    """True if the config points to another checkpoint than the thread's last: then it is a run of its own."""
    checkpoint_id = conf.get("checkpoint_id")
    if checkpoint_id is None or thread is None:
        return False
    latest = app.saver.get_tuple({"configurable": {"thread_id": thread, "checkpoint_ns": ""}})
    return bool(conf.get("checkpoint_ns")) or latest is None or latest.checkpoint["id"] != checkpoint_id


def prepare(
    app: GraphApp, graph: Pregel[Any, Any, Any, Any], segment: Segment, config: RunnableConfig | None
) -> tuple[Any, RunnableConfig, Any]:
    """Return input, config and context with which the graph goes on in this segment.

    Raises Suspended at open drift, Cancelled if a question was rejected.
    """
    stored, resumes = segment.execution.input, segment.replay.has_checkpoint
    call = stored if isinstance(stored, GraphCall) else GraphCall(stored)
    new_answers = take_natives(segment)
    latest = app.saver.get_tuple({"configurable": {"thread_id": segment.thread, "checkpoint_ns": ""}})
    configured = _configured(segment, call, config, resumes=resumes or bool(answers(segment)))
    if latest is not None and not resumes:
        line = Line(app.runtime, app.saver, app.name, segment.thread, but=segment.execution.id)
        go_back(segment, origin(line, keys.configurable(configured), takes_up=call.input is None))
    if latest is not None and (resumes or call.input is None):
        check_nodes(segment, graph, latest.checkpoint)
    goes_on_there = latest is not None and (resumes or call.input is None)
    value = _resume(segment, latest, new_answers) if goes_on_there and latest is not None else call.input
    return value, configured, call.context


def _configured(segment: Segment, call: GraphCall, config: RunnableConfig | None, *, resumes: bool) -> RunnableConfig:
    """Return the config of a run in this segment: as the call had it, on the execution's thread."""
    conf = {**call.configurable, **{k: v for k, v in keys.configurable(config).items() if k != "execution_id"}}
    conf |= {"thread_id": segment.thread, keys.SEGMENT: segment}
    if resumes:
        conf = {key: value for key, value in conf.items() if key not in _PLACE}
    configured: RunnableConfig = {**(config or {}), "configurable": conf}
    if metadata := {**call.metadata, **(configured.get("metadata") or {})}:
        configured["metadata"] = metadata
    if call.recursion_limit is not None:
        configured.setdefault("recursion_limit", call.recursion_limit)
    return configured


def _resume(segment: Segment, latest: CheckpointTuple, new_answers: Mapping[str, Any]) -> Command[Any] | None:
    """Return the answers that the graph still waits for; None if it waits for none."""
    statuses = read_task_statuses(latest.pending_writes or ()).values()
    pending = {interrupt.id for status in statuses for interrupt in status.pending_interrupts}
    if (
        not pending and len(new_answers) == 1
    ):  # the state was changed since it was asked, and the question has no id any more
        return Command(resume=next(iter(new_answers.values())))
    resume = {key: value for key, value in answers(segment).items() if key in pending}
    return Command(resume=resume) if resume else None


def finish(graph: Pregel[Any, Any, Any, Any], segment: Segment, *, breakpoints: bool) -> None:
    """After the graph has come to rest: put a static breakpoint into the inbox, if that is where it stopped."""
    if segment.waits or not breakpoints:
        return
    config: RunnableConfig = {"configurable": {"thread_id": segment.thread}}
    state = graph.get_state(config)
    if state.next:
        open_breakpoint(segment, state.config["configurable"]["checkpoint_id"], state.next)
