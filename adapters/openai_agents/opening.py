"""Opening: which execution a call belongs to, claimed, or found ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.adapters.openai_agents.driving import SDK, Drive, sdk_version
from durable.checkpoint.errors import ExecutionCancelled, ThreadBusy
from durable.execution import open_segment
from durable.ids import new_id
from durable.owner import is_dead
from durable.rereading import ended_segment

if TYPE_CHECKING:
    from durable.adapters.openai_agents.calls import AgentCall
    from durable.checkpoint.records import Execution
    from durable.runtime import Runtime


def open_call(runtime: Runtime, name: str, call: AgentCall, execution_id: str | None, on_suspended: str) -> Drive:
    """Start the execution of this call, or go on with it: the same id and the same call is the same execution. Blocks.

    Raises ExecutionConflict, ThreadBusy, ExecutionBusy, ExecutionCancelled.
    """
    wanted = new_id() if execution_id is None else execution_id
    options: dict[str, Any] = {"thread": call.session_id, "on_suspended": on_suspended, "tags": {SDK: sdk_version()}}
    try:
        found = runtime.start(name, call, id=wanted, **options).execution()
    except ThreadBusy as busy:
        found = runtime.get(busy.execution_id).execution()
        abandoned = found.status == "pending" or (found.status == "running" and is_dead(found.lease_owner or ""))
        if execution_id is not None or not abandoned or found.input_digest != runtime.codec.fingerprint(call):
            raise
    return claim(runtime, found)


def claim(runtime: Runtime, found: Execution) -> Drive:
    """Claim an execution, or read it again if it has ended. Blocks. Raises ExecutionCancelled, ExecutionBusy."""
    if found.status == "cancelled":
        raise ExecutionCancelled(found.id, (found.error or {}).get("message", ""))
    if found.ended:
        return Drive(ended_segment(runtime, found), ended=True)
    return Drive(open_segment(runtime, found.id, forced=True), ended=False)
