"""The durable runner: ADK's ``Runner``, each run of it an execution.

``run`` and ``run_debug`` come through ``run_async``, which alone is overridden. A call claims its execution, lets ADK
run in it, and closes it as what came of it says; a worker does the same through ``run_segment``. The session's
events are where ADK goes on from; the journal answers what had finished and is not in them yet.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from google.adk.agents.llm_agent import LlmAgent
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events._rewind_events import _apply_rewinds
from google.adk.events.event import Event
from google.adk.runners import Runner

from durable.adapters.google_adk.entry.runs import AdkCall, call_of, open_run
from durable.adapters.google_adk.seams.confirmations import cut_off
from durable.adapters.google_adk.seams.models import hook_models
from durable.adapters.google_adk.seams.nodes import hook_nodes
from durable.adapters.google_adk.seams.questions import KEY, open_natives, pending, responses
from durable.adapters.google_adk.seams.shown import answers, is_shown, request
from durable.adapters.google_adk.seams.suspension import waits_inside
from durable.adapters.google_adk.seams.tools import hook_tools
from durable.adapters.google_adk.seams.turns import hook_turns
from durable.errors import InvalidDecision, Suspended, Unsupported
from durable.kit import Invocation, driving, each_within, opened, take_answers
from durable.live.past import go_back
from durable.live.scope import root, within
from durable.live.scope import segment as segment_here
from durable.run.handle import outcome

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from google.adk.agents.invocation_context import InvocationContext
    from google.adk.agents.run_config import RunConfig
    from google.adk.events.event import Event
    from google.adk.sessions.session import Session
    from google.genai import types

    from durable.adapters.google_adk.state.sessions import DurableSessionService
    from durable.checkpoint.records import Execution
    from durable.live.segment import Segment
    from durable.runtime import Runtime


class DurableRunner(Runner):
    """A runner whose invocations survive the process; see ``durable_runner``."""

    runtime: Runtime
    session_service: DurableSessionService
    name: str
    on_suspended: str

    async def run_async(  # noqa: PLR0913 - ADK's signature, and execution_id=, tags=
        self,
        *,
        user_id: str,
        session_id: str,
        invocation_id: str | None = None,
        new_message: types.Content | None = None,
        state_delta: dict[str, Any] | None = None,
        run_config: RunConfig | None = None,
        yield_user_message: bool = False,
        abort_signal: asyncio.Event | None = None,
        execution_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Event, None]:
        """As the bare runner's. ``execution_id`` names the execution and the invocation.

        The same id and message again is an exact resume; the events of one that has ended are read back. ``tags`` are
        those of the execution it starts, as of ``Runtime.start``.
        """
        call = call_of(user_id, session_id, new_message, state_delta, run_config)
        named = invocation_id if execution_id is None else execution_id
        invocation = Invocation(self.name, call, call.thread, named, self.on_suspended, tags or {}, id_prefix="e-")
        drive = await opened(self.runtime, partial(open_run, self.runtime, invocation))
        if drive.ended:
            for event in await self._recorded(drive.segment.execution):
                yield event
            return
        options = {"yield_user_message": yield_user_message, "abort_signal": abort_signal}
        async with driving(drive, shows_waiting=True), aclosing(self._driven(drive.segment, options)) as events:
            async for event in events:
                drive.output, drive.complete = _output(event, drive.output), self._is_last(event)
                yield event
        for event in self._requests(drive.segment):
            yield event

    def run_live(self, **_: Any) -> AsyncGenerator[Event, None]:
        """Refused: a live (bidirectional) run cannot be resumed. Raises Unsupported."""
        msg = "run_live: a live (bidirectional) run cannot be resumed by ADK; use run_async, or a plain Runner"
        raise Unsupported(msg)

    async def _driven(self, segment: Segment, options: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """ADK's events in this segment; at the end, what it waits for is in the inbox."""
        hook_all()
        surely = segment.runtime.database.surely_on_journal_thread
        call = AdkCall.of(segment.execution.input)
        place: dict[str, Any] = {
            "app_name": self.app_name,
            "user_id": call.user_id,
            "session_id": call.session_id,
        }
        if call.session_id == segment.execution.id and not await surely(partial(self.session_service.has, **place)):
            with within(root(segment)):
                await self.session_service.create_session(
                    app_name=self.app_name, user_id=call.user_id, session_id=call.session_id
                )
        await surely(take_answers, segment, KEY)
        resume = await self._resume(segment, call)
        bare = super().run_async(
            user_id=call.user_id, session_id=call.session_id, run_config=call.config, **resume, **options
        )
        try:
            async with aclosing(bare), aclosing(each_within(root(segment), bare)) as events:
                async for event in events:
                    yield event
        except (BaseExceptionGroup, asyncio.CancelledError, Suspended) as exc:
            if not isinstance(exc, Suspended) and not waits_inside(segment, exc):
                raise
            await self._show(segment, call)
            raise Suspended from exc
        await self._show(segment, call)
        session = await self._session(call)
        await surely(open_natives, segment, pending(session.events, segment.execution.id))

    async def _show(self, segment: Segment, call: AdkCall) -> None:
        """Keep in the session what the inbox asks, and how it was answered, as ADK keeps a confirmation."""
        if segment.closing:
            return
        session = await super()._get_or_create_session(user_id=call.user_id, session_id=call.session_id)
        known = {event.id for event in session.events}
        with within(root(segment)):
            for event in (*answers(segment, session.events), *self._requests(segment)):
                if event.id not in known:
                    await self.session_service.append_event(session, event)

    def _requests(self, segment: Segment) -> list[Event]:
        waiting = (one for one in segment.waiting.values() if not one.step_key.startswith(KEY))
        return [request(segment, interrupt, self.agent.name) for interrupt in waiting]

    async def _get_or_create_session(self, **place: Any) -> Session:
        """ADK's own, without what is only shown in it."""
        session = await super()._get_or_create_session(**place)
        session.events = [event for event in session.events if not is_shown(event)]
        return session

    def _resolve_invocation_id_from_fr(self, session: Session, new_message: types.Content, **how: Any) -> str | None:
        """ADK's own; a further response to a long-running call is an invocation of its own."""
        running = segment_here()
        if running is not None and AdkCall.of(running.execution.input).reports:
            return running.execution.id
        return super()._resolve_invocation_id_from_fr(session, new_message, **how)

    def accepts(self, given: Any, execution_id: str) -> Any:
        """Return the input of an execution as it is stored. Raises Unsupported, SessionNotFoundError. Blocks."""
        call = AdkCall.accepted(given, execution_id)
        place: dict[str, Any] = {
            "app_name": self.app_name,
            "user_id": call.user_id,
            "session_id": call.session_id,
        }
        if not (isinstance(given, str) or self.auto_create_session or self.session_service.has(**place)):
            raise SessionNotFoundError(self._format_session_not_found_message(call.session_id))
        return call if isinstance(given, str) else given

    async def _resume(self, segment: Segment, call: AdkCall) -> dict[str, Any]:
        """The arguments with which ADK begins the invocation, or goes on with it."""
        invocation_id = segment.execution.id
        session = await self._session(call)
        with within(root(segment)):
            for event in cut_off(session.events, invocation_id):
                await self.session_service.append_event(session, event)
        events = session.events
        if not any(event.invocation_id == invocation_id for event in events):
            if call.answers and not call.reports:
                msg = "the input of an execution begins an invocation: a function response in it answers nothing"
                raise InvalidDecision(msg)
            await self.runtime.database.surely_on_journal_thread(go_back, segment, taken_back(events))
            return {"new_message": call.content, "state_delta": dict(call.state_delta) if call.state_delta else None}
        answer = responses(segment, pending(events, invocation_id))
        return {"invocation_id": invocation_id, "new_message": answer}

    def _new_invocation_context(
        self, session: Session, *, invocation_id: str | None = None, **options: Any
    ) -> InvocationContext:
        """ADK's own; a new invocation has the id of its execution."""
        running = segment_here()
        if invocation_id is None and running is not None:
            invocation_id = running.execution.id
        return super()._new_invocation_context(session, invocation_id=invocation_id, **options)

    async def run_segment(self, segment: Segment) -> Any:
        """Drive a claimed execution to its end or until it waits, as a worker does."""
        output = None
        async with aclosing(self._driven(segment, {})) as events:
            async for event in events:
                output = _output(event, output)
        return output

    def _is_last(self, event: Event) -> bool:
        """Whether a caller who stops listening here has heard everything: the final response of the root agent."""
        return isinstance(self.agent, LlmAgent) and event.author == self.agent.name and event.is_final_response()

    async def _session(self, call: AdkCall) -> Session:
        return await self._get_or_create_session(user_id=call.user_id, session_id=call.session_id)

    async def _recorded(self, execution: Execution) -> list[Event]:
        """The events of an invocation that has ended. Raises ExecutionFailed, ExecutionCancelled."""
        outcome(execution)
        session = await self._session(AdkCall.of(execution.input))
        return [event for event in session.events if event.invocation_id == execution.id and event.author != "user"]


def taken_back(events: Sequence[Event]) -> list[tuple[str, int]]:
    """Return the invocations that a rewind of the session has taken back, as executions of which nothing counts."""
    left = {event.invocation_id for event in _apply_rewinds(list(events))}
    return [(name, 0) for name in dict.fromkeys(event.invocation_id for event in events) if name not in left]


def hook_all() -> None:
    """Put all seams in place; again before each run, for parts of ADK that were loaded meanwhile."""
    hook_models()
    hook_tools()
    hook_nodes()
    hook_turns()


def _output(event: Event, before: Any) -> Any:
    """What the execution came to, as far as this event tells: a node's output, or the text of a final response."""
    if event.partial or event.author == "user":
        return before
    if event.output is not None:
        return event.output
    if event.is_final_response() and event.content:
        return "".join(part.text for part in event.content.parts or () if part.text and not part.thought) or before
    return before
