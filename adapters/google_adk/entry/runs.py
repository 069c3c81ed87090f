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

from durable.adapters.google_adk.seams.questions import decide_natively, waits_for
from durable.checkpoint.codec.names import stored_as
from durable.errors import InvalidDecision, Unsupported
from durable.kit import find_open, start, take
from durable.live.scope import scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.kit import Drive, Invocation
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
    def of(cls, stored: Any) -> AdkCall:
        """The call, from itself or from the same names in a dict (as ``runtime.start`` may be given)."""
        return stored if isinstance(stored, cls) else cls(**stored)

    @classmethod
    def accepted(cls, given: Any, execution_id: str) -> AdkCall:
        """Return the call of an input; words alone are said in a session of their own. Raises Unsupported."""
        if isinstance(given, str):
            return cls("user", execution_id, given)
        try:
            call = cls.of(given)
            _ = call.config, call.message is None or call.content
        except (TypeError, ValueError) as exc:
            msg = f"this cannot be run: {exc}; start an ADK app with user_id, session_id and message, or with words"
            raise Unsupported(msg) from exc
        return call

    @property
    def thread(self) -> str:
        """Return the thread of the session: no two sessions have the same."""
        return "/".join(quote(part, safe="") for part in (self.user_id, self.session_id))

    @property
    def content(self) -> types.Content:
        """The message; a plain string is its text."""
        if isinstance(self.message, str):
            return types.Content(role="user", parts=[types.Part(text=self.message)])
        return types.Content.model_validate(self.message)

    @property
    def answers(self) -> bool:
        """True if the message holds function responses, which belong to an invocation that waits for them."""
        return self.message is not None and any(part.function_response for part in self.content.parts or ())

    @property
    def reports(self) -> bool:
        """True if the message only has responses to long-running calls, which may be answered again and again."""
        if not self.answers:
            return False
        names = [part.function_response.name or "" for part in self.content.parts or () if part.function_response]
        return not any(name.startswith("adk_request_") for name in names)

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
    run_config = {} if config is None else config.model_dump(mode="json", exclude_defaults=True)
    dumped = None if message is None else message.model_dump(mode="json", exclude_none=True)
    return AdkCall(user_id, session_id, dumped, dict(state_delta) if state_delta else None, run_config)


def thread_of(call: AdkCall) -> str:
    """Return the thread of a call: its session, so that no two of them look alike."""
    return "/".join(quote(part, safe="") for part in (call.user_id, call.session_id))


def open_run(runtime: Runtime, invocation: Invocation) -> Drive:
    """Get hold of the execution that a call of the runner belongs to. Blocks.

    Raises ThreadBusy, ExecutionBusy, ExecutionCancelled, ExecutionConflict, InvalidDecision, Unsupported.
    """
    call: AdkCall = invocation.input
    named, thread = invocation.execution_id, invocation.thread
    if scope() is not None and named is None:
        msg = (
            f"runner {invocation.app!r} is called inside of an execution, and would run anew at each replay: give the "
            "call an execution_id of its own"
        )
        raise Unsupported(msg)
    if call.message is not None and not call.answers:
        return take(runtime, start(runtime, invocation))
    execution = find_open(runtime, invocation.app, thread=thread, execution_id=named)
    if execution is None:
        msg = f"nothing waits for an answer on {thread!r}; start with a new message"
        raise InvalidDecision(msg)
    if call.reports and named is None and not waits_for(runtime, execution.id, call.content):
        return take(runtime, start(runtime, invocation))
    if call.answers:
        decide_natively(runtime, execution.id, call.content)
    return take(runtime, execution)
