"""Runs: which execution a call of the runner belongs to, and with what ADK goes on in it.

An execution is an invocation: they have one id. New input starts one; an invocation id alone, or a function response,
continues the one that is open. One that has ended is never driven again: its events are read back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from google.adk.agents.run_config import RunConfig
from google.genai import types

from durable.adapters.google_adk.seams.questions import decide_natively
from durable.checkpoint.codec.types import stored_as
from durable.declare.ids import new_id
from durable.errors import InvalidDecision, ThreadBusy, Unsupported
from durable.live.owner import is_dead
from durable.live.scope import scope
from durable.run.open import open_segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.records import Execution
    from durable.live.segment import Segment
    from durable.runtime import Runtime


@stored_as("durable.adapters.google_adk.runs:AdkCall")
@dataclass(frozen=True)
class AdkCall:
    """The input of an execution: what a worker needs to make the same call. ``message`` is ADK's Content as JSON."""

    user_id: str
    session_id: str
    message: Any = None
    state_delta: Mapping[str, Any] | None = None
    run_config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Any) -> AdkCall:
        """The call, from itself or from the same names in a dict (as ``runtime.start`` may be given)."""
        return given if isinstance(given, cls) else cls(**given)

    @property
    def content(self) -> types.Content:
        """The message; a plain string is its text."""
        if isinstance(self.message, str):
            return types.Content(role="user", parts=[types.Part(text=self.message)])
        return types.Content.model_validate(self.message)

    @property
    def answers(self) -> bool:
        """Whether the message holds function responses, which belong to an invocation that waits for them."""
        return any(part.function_response for part in self.content.parts or ())

    @property
    def config(self) -> RunConfig:
        """The run's config."""
        return RunConfig.model_validate(dict(self.run_config))


def call_of(
    user_id: str,
    session_id: str,
    message: types.Content | None,
    state_delta: Mapping[str, Any] | None,
    config: RunConfig | None,
) -> AdkCall:
    """What is stored of a call of ``run_async``."""
    kept = {} if config is None else config.model_dump(mode="json", exclude_defaults=True)
    dumped = None if message is None else message.model_dump(mode="json", exclude_none=True)
    return AdkCall(user_id, session_id, dumped, dict(state_delta) if state_delta else None, kept)


def thread_of(call: AdkCall) -> str:
    """Return the thread of a call: its session, so that no two of them look alike."""
    return "/".join(quote(part, safe="") for part in (call.user_id, call.session_id))


def open_run(  # noqa: PLR0913 - a call, and how it was made
    runtime: Runtime,
    name: str,
    call: AdkCall,
    *,
    execution_id: str | None,
    on_suspended: str,
    tags: Mapping[str, str] | None = None,
) -> Segment | Execution:
    """Claim the execution this call belongs to; the execution itself if it has ended.

    Raises ThreadBusy, ExecutionBusy, ExecutionConflict, InvalidDecision, Unsupported.
    """
    if scope() is not None and execution_id is None:
        msg = (
            f"runner {name!r} is called inside of an execution, and would run anew at each replay: give the call an "
            "execution_id of its own"
        )
        raise Unsupported(msg)
    thread = thread_of(call)
    if call.message is None:
        execution = _left(runtime, name, thread, execution_id)
    elif call.answers:
        execution = _left(runtime, name, thread, execution_id)
        decide_natively(runtime, execution.id, call.content)
    else:
        options = {"thread": thread, "on_suspended": on_suspended, "tags": tags}
        execution = _start(runtime, name, call, execution_id or f"e-{new_id()}", options)
    return execution if execution.ended else open_segment(runtime, execution.id, forced=True)


def _left(runtime: Runtime, name: str, thread: str, wanted: str | None) -> Execution:
    if wanted is not None:
        found = runtime.get(wanted).execution()
    else:
        latest = runtime.executions(app=name, thread=thread, limit=1)
        if not latest:
            msg = f"nothing waits for an answer on {thread!r}; start with a new message"
            raise InvalidDecision(msg)
        found = latest[0]
    if found.status in {"failed", "dead"}:
        runtime.reopen(found.id)
    return found if found.status not in {"failed", "dead"} else runtime.get(found.id).execution()


def _start(runtime: Runtime, name: str, call: AdkCall, wanted: str, options: Mapping[str, Any]) -> Execution:
    try:
        return runtime.start(name, call, id=wanted, **options).execution()
    except ThreadBusy as busy:
        left = runtime.get(busy.execution_id).execution()
        abandoned = left.status == "pending" or (left.status == "running" and is_dead(left.lease_owner or ""))
        if not abandoned or left.input_digest != runtime.codec.fingerprint(call):
            raise
        return left
