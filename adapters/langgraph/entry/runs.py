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
    BREAKPOINT,
    answers,
    decide_natively,
    open_breakpoint,
    take_answers,
)
from durable.adapters.langgraph.state import keys
from durable.checkpoint.codec.types import stored_as
from durable.declare.effects import effect_of
from durable.declare.ids import new_id
from durable.errors import ThreadBusy, Unsupported
from durable.inbox.decision import Decision
from durable.live.owner import is_dead
from durable.live.past import go_back
from durable.record.events import StepDone, unpack_if
from durable.run.handle import outcome
from durable.run.open import open_segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_core.runnables import RunnableConfig
    from langgraph.pregel import Pregel

    from durable.adapters.langgraph.state.saver import DurableSaver
    from durable.checkpoint.records import Execution, Record
    from durable.live.segment import Segment
    from durable.runtime import Runtime

_NOT_KEPT = frozenset({"thread_id", "checkpoint_ns", "checkpoint_map", "execution_id"})
FLAVOUR, ASYNC = "langgraph", "async"
"""The tag that says how an execution was called. A worker goes on in that way: middleware may have one form only."""


@stored_as("durable.adapters.langgraph.runs:GraphCall")
@dataclass(frozen=True)
class GraphCall:
    """The input of an execution that was started with more than the graph's: what a worker needs to go on with it."""

    input: Any = None
    configurable: Mapping[str, Any] = field(default_factory=dict)
    context: Any = None
    recursion_limit: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphApp:
    """A wrapped graph: its name, runtime and saver, the graph as it was, and the config it came with."""

    name: str
    runtime: Runtime
    saver: DurableSaver
    bare: Pregel[Any, Any, Any, Any]
    on_suspended: str = "supersede"
    config: RunnableConfig | None = None


def given(app: GraphApp, bound: RunnableConfig | None, config: RunnableConfig | None) -> RunnableConfig | None:
    """What the caller configured, by ``with_config`` and in the call; None if the graph runs as part of a durable run.

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
    found: Any = merge_configs(bound, config)
    for part in ("configurable", "metadata"):
        known: Any = (app.config or {}).get(part) or {}
        found[part] = {key: value for key, value in (found.get(part) or {}).items() if known.get(key) != value}
    if found.get("recursion_limit") == (app.config or {}).get("recursion_limit"):
        found.pop("recursion_limit", None)
    merged: RunnableConfig = found
    return merged


def call_of(value: Any, config: RunnableConfig | None, context: Any) -> Any:
    """What is stored as the execution's input; the bare graph input if there is nothing else to it."""
    config = config or {}
    kept = {
        key: found
        for key, found in keys.configurable(config).items()
        if key not in _NOT_KEPT and not key.startswith("__") and found is not None
    }
    metadata = dict(config.get("metadata") or {})
    if not kept and context is None and not metadata and "recursion_limit" not in config:
        return value
    return GraphCall(value, kept, context, config.get("recursion_limit"), metadata)


def open_run(  # noqa: PLR0913 - a call of the graph, and how it was made
    app: GraphApp,
    value: Any,
    config: RunnableConfig | None,
    context: Any,
    execution_id: str | None,
    *,
    is_async: bool = False,
    tags: Mapping[str, str] | None = None,
) -> Segment | Execution:
    """Claim the execution this call belongs to; the execution itself if it has ended.

    Raises ThreadBusy, ExecutionBusy, ExecutionConflict, InvalidDecision.
    """
    conf = keys.configurable(config)
    thread = conf.get("thread_id")
    thread = None if thread is None else str(thread)
    wanted = conf.get("execution_id") if execution_id is None else execution_id
    line = None if thread is None else Line(app.runtime, app.saver, app.name, thread)
    if (value is None and not _travels(app, thread, conf)) or _only_resumes(value):
        found = _to_continue(app, line, wanted)
        if found is not None:
            if _only_resumes(value):
                decide_natively(app.runtime, found.id, value.resume)
            _pass_breakpoint(app.runtime, found.id)
            return open_segment(app.runtime, found.id, forced=True)
        value = None
    wanted = new_id() if wanted is None else wanted
    thread = wanted if thread is None else thread
    named = {**(tags or {}), FLAVOUR: ASYNC if is_async else "sync"}
    execution = _start(app, call_of(value, config, context), thread, wanted, tags=named)
    return execution if execution.ended else open_segment(app.runtime, execution.id, forced=True)


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
    finished = ((record.step_key or "", unpack_if(record, StepDone)) for record in history)
    done = {key: event for key, event in finished if event is not None}
    for key, event in done.items():
        around = key.rpartition("/")[0]
        if effect_of(event.effect or "").settles and "node:" in around and not _has_finished(around, done):
            msg = (
                f"the state cannot be changed now: execution {execution_id!r} waits inside of a node in which "
                f"{event.name!r} has run, and it would run again; decide what it waits for or cancel it first"
            )
            raise Unsupported(msg)


def _has_finished(key: str, done: Mapping[str, StepDone]) -> bool:
    parts = key.split("/")
    return any("/".join(parts[: count + 1]) in done for count in range(len(parts)))


def _travels(app: GraphApp, thread: str | None, conf: Mapping[str, Any]) -> bool:
    """Whether the config points to another checkpoint than the thread's last: then it is a run of its own."""
    checkpoint_id = conf.get("checkpoint_id")
    if checkpoint_id is None or thread is None:
        return False
    latest = app.saver.get_tuple({"configurable": {"thread_id": thread, "checkpoint_ns": ""}})
    return bool(conf.get("checkpoint_ns")) or latest is None or latest.checkpoint["id"] != checkpoint_id


def _to_continue(app: GraphApp, line: Line | None, wanted: str | None) -> Execution | None:
    runtime = app.runtime
    if wanted is not None:
        found = runtime.get(wanted).execution()
    elif line is not None and line.executions and goes_on(line, line.executions[0], {}):
        found = line.executions[0]
    else:
        return None
    if found.status in {"failed", "dead"}:
        runtime.reopen(found.id)
        return found
    return None if found.ended else found


def _pass_breakpoint(runtime: Runtime, execution_id: str) -> None:
    for row in runtime.interrupts(execution_id=execution_id):
        if row.step_key.startswith(BREAKPOINT):
            runtime.decide(row.id, Decision.respond(value=True), by="invoke(None)")


def _start(app: GraphApp, stored: Any, thread: str, wanted: str, *, tags: Mapping[str, str]) -> Execution:
    runtime = app.runtime
    try:
        handle = runtime.start(app.name, stored, id=wanted, thread=thread, on_suspended=app.on_suspended, tags=tags)
    except ThreadBusy as busy:
        left = runtime.get(busy.execution_id).execution()
        abandoned = left.status == "pending" or (left.status == "running" and is_dead(left.lease_owner or ""))
        if not abandoned or left.input_digest != runtime.codec.fingerprint(stored):
            raise
        return left
    return handle.execution()


def recorded_output(execution: Execution) -> Any:
    """The output of an execution that had ended. Raises ExecutionFailed, ExecutionCancelled."""
    return outcome(execution)


def prepare(
    app: GraphApp, graph: Pregel[Any, Any, Any, Any], segment: Segment, config: RunnableConfig | None
) -> tuple[Any, RunnableConfig, Any]:
    """Input, config and context with which the graph goes on in this segment.

    Raises Suspended at open drift, Cancelled if a question was rejected.
    """
    stored = segment.execution.input
    call = stored if isinstance(stored, GraphCall) else GraphCall(stored)
    conf = {**call.configurable, **{k: v for k, v in keys.configurable(config).items() if k != "execution_id"}}
    conf["thread_id"] = segment.thread
    conf[keys.SEGMENT] = segment
    resumes = segment.replay.has_checkpoint
    taken = take_answers(segment)
    if resumes or answers(segment):  # it waited on what the thread ends with: there it goes on
        for place in ("checkpoint_id", "checkpoint_ns", "checkpoint_map"):
            conf.pop(place, None)
    merged: RunnableConfig = {**(config or {}), "configurable": conf}
    if metadata := {**call.metadata, **(merged.get("metadata") or {})}:
        merged["metadata"] = metadata
    if call.recursion_limit is not None:
        merged.setdefault("recursion_limit", call.recursion_limit)
    latest = app.saver.get_tuple({"configurable": {"thread_id": segment.thread, "checkpoint_ns": ""}})
    if latest is None:
        return call.input, merged, call.context
    if not resumes:
        line = Line(app.runtime, app.saver, app.name, segment.thread, but=segment.execution.id)
        go_back(segment, origin(line, conf, takes_up=call.input is None))
    if resumes or call.input is None:
        check_nodes(segment, graph, latest.checkpoint)
    if not resumes and call.input is not None:
        return call.input, merged, call.context
    statuses = read_task_statuses(latest.pending_writes or ()).values()
    pending = {interrupt.id for status in statuses for interrupt in status.pending_interrupts}
    resume = {key: value for key, value in answers(segment).items() if key in pending}
    if not pending and len(taken) == 1:  # the state was changed since it was asked, and the question has no id any more
        return Command(resume=next(iter(taken.values()))), merged, call.context
    return (Command(resume=resume) if resume else None), merged, call.context


def finish(graph: Pregel[Any, Any, Any, Any], segment: Segment, *, breakpoints: bool) -> None:
    """After the graph has come to rest: put a static breakpoint into the inbox, if that is where it stopped."""
    if segment.waits or not breakpoints:
        return
    config: RunnableConfig = {"configurable": {"thread_id": segment.thread}}
    state = graph.get_state(config)
    if state.next:
        open_breakpoint(segment, state.config["configurable"]["checkpoint_id"], state.next)
