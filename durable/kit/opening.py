"""Opening: which execution a call of a wrapped agent belongs to, and how this process gets hold of it.

A call that names its execution gets that one or an error. One that names none starts a new one, or goes on with the
abandoned one of its thread if that has the same input.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.declare.ids import new_id
from durable.errors import ExecutionClosed, InvalidConfiguration, ThreadBusy
from durable.kit.driving import Drive
from durable.live.owner import is_dead
from durable.run.app import App
from durable.run.block import enter, leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from durable.checkpoint.records import Execution
    from durable.live.segment import Segment
    from durable.run.branch import Branch, Carried
    from durable.runtime import Runtime

_FAILED = frozenset({"failed", "dead"})


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a wrapped agent: what its execution is started with.

    ``execution_id`` is the caller's name for it, None if the caller gave none; one that is made then begins with
    ``id_prefix``. ``on_suspended`` says what the call does to an execution that waits on the thread.
    """

    app: str
    input: Any
    thread: str | None = None
    execution_id: str | None = None
    on_suspended: str = "supersede"
    tags: Mapping[str, str] = field(default_factory=dict)
    id_prefix: str = ""


def register(  # noqa: PLR0913 - what a process has to know of a wrapped agent
    runtime: Runtime,
    name: str,
    run: Callable[[Segment], Any],
    *,
    version: str | None = None,
    types: Iterable[type] = (),
    on_suspended: str = "supersede",
    forked: Callable[[Branch], Carried] | None = None,
    accepts: Callable[[Any, str], Any] | None = None,
) -> None:
    """Let workers of this runtime drive a wrapped agent by ``run(segment)``, and rebuild its types from storage.

    ``forked`` says what goes with a fork, ``accepts`` is the app's. Raises InvalidConfiguration for an
    ``on_suspended`` that is neither "supersede" nor "refuse".
    """
    if on_suspended not in {"supersede", "refuse"}:
        msg = f"on_suspended={on_suspended!r}: use 'supersede' or 'refuse'"
        raise InvalidConfiguration(msg)
    runtime.register_types(types)
    runtime.register(App(name, run, version, forked=forked, accepts=accepts))


def start(runtime: Runtime, call: Invocation) -> Execution:
    """Record the execution of a call; a call that is repeated finds its own. Blocks.

    Raises ThreadBusy, also where a named call would have to be answered by another execution; ExecutionConflict.
    """
    execution_id = f"{call.id_prefix}{new_id()}" if call.execution_id is None else call.execution_id
    options: dict[str, Any] = {"thread": call.thread, "on_suspended": call.on_suspended, "tags": call.tags}
    try:
        execution: Execution = runtime.start(call.app, call.input, id=execution_id, **options).execution()
    except ThreadBusy as busy:
        execution = runtime.get(busy.execution_id).execution()
        same_input = execution.input_digest == runtime.codec.fingerprint(call.input)
        if call.execution_id is not None or not same_input or not _is_abandoned(execution):
            raise
    return _taken_up(runtime, execution)


def _taken_up(runtime: Runtime, execution: Execution) -> Execution:
    """Open an execution again that failed by something that passes: the caller calls again to go on."""
    if execution.status != "failed" or not (execution.error or {}).get("transient"):
        return execution
    try:
        runtime.reopen(execution.id)
    except ExecutionClosed:  # what it had done was undone
        return execution
    return runtime.get(execution.id).execution()


def _is_abandoned(execution: Execution) -> bool:
    if execution.status == "running":
        return is_dead(execution.lease_owner or "")
    return execution.status == "pending"


def find_open(runtime: Runtime, app: str, *, thread: str | None, execution_id: str | None) -> Execution | None:
    """Return the execution to continue: the named one, or the latest of the thread. None if there is none. Blocks.

    One that failed is opened again; one that has ended otherwise is returned as it is. Raises ExecutionNotFound,
    ExecutionClosed.
    """
    if execution_id is not None:
        execution = runtime.get(execution_id).execution()
    elif thread is not None and (latest := runtime.executions(app=app, thread=thread, limit=1)):
        execution = latest[0]
    else:
        return None
    if execution.status in _FAILED:
        runtime.reopen(execution.id)
        return runtime.get(execution.id).execution()
    return execution


def take(runtime: Runtime, execution: Execution, check: Callable[[Segment], None] | None = None) -> Drive:
    """Claim an execution, or read it again if it has ended. Blocks.

    ``check`` looks at what was claimed, and may stop it: at drift, for one. Raises ExecutionBusy, ExecutionCancelled,
    and what ``check`` raises, as ``leave`` puts it.
    """
    drive = Drive(*enter(runtime, execution))
    if check is not None and not drive.ended:
        try:
            check(drive.segment)
        except BaseException as exc:
            leave(drive, exc)
            raise
    return drive


async def opened(runtime: Runtime, open_call: Callable[[], Drive]) -> Drive:
    """Open a call on a thread of the journal. A caller that is cancelled meanwhile gives the execution back first."""
    surely = runtime.database.surely_on_journal_thread
    drives: list[Drive] = []

    def keep() -> None:
        drives.append(open_call())

    try:
        await surely(keep)
    except asyncio.CancelledError as exc:
        if drives and not drives[0].ended:
            await surely(leave, drives[0], exc)
        raise
    return drives[0]
