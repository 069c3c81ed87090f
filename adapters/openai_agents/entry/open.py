"""Opening: which execution a call belongs to, claimed, or found ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from durable.adapters.openai_agents.entry.drive import AGENT, SDK, Drive, sdk_version
from durable.declare.ids import new_id
from durable.errors import ThreadBusy
from durable.live.owner import is_dead
from durable.run.block import enter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.adapters.openai_agents.state.stored_call import AgentCall
    from durable.runtime import Runtime


class Wrapped(Protocol):
    """An agent and the options it was wrapped with."""

    @property
    def agent(self) -> Any:
        """The agent itself."""

    @property
    def runtime(self) -> Runtime:
        """Where its executions are."""

    @property
    def name(self) -> str:
        """Its name among the apps."""

    @property
    def on_suspended(self) -> str:
        """What new input does to an execution that waits."""


def open_call(app: Wrapped, call: AgentCall, execution_id: str | None, tags: Mapping[str, str] | None) -> Drive:
    """Start the execution of this call, or go on with it: the same id and the same call is the same execution. Blocks.

    Raises ExecutionConflict, ThreadBusy, ExecutionBusy, ExecutionCancelled.
    """
    runtime, wanted = app.runtime, new_id() if execution_id is None else execution_id
    named = {**(tags or {}), SDK: sdk_version(), AGENT: app.agent.name}
    options: dict[str, Any] = {"thread": call.session_id, "on_suspended": app.on_suspended, "tags": named}
    try:
        found = runtime.start(app.name, call, id=wanted, **options).execution()
    except ThreadBusy as busy:
        found = runtime.get(busy.execution_id).execution()
        abandoned = found.status == "pending" or (found.status == "running" and is_dead(found.lease_owner or ""))
        if execution_id is not None or not abandoned or found.input_digest != runtime.codec.fingerprint(call):
            raise
    return Drive(*enter(runtime, found), app.agent.name)
