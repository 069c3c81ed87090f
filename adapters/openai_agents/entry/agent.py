"""The durable agent: ``Runner``'s three ways to run it, each call an execution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from agents.run import AgentRunner, Runner
from agents.run_state import RunState

from durable.adapters.openai_agents.entry import streams
from durable.adapters.openai_agents.entry.drive import (
    AGENT,
    SDK,
    check_call,
    check_code,
    finish,
    output_of,
    run_of,
    sdk_version,
)
from durable.adapters.openai_agents.entry.run_state import (
    adopt,
    decide_natively,
    execution_of,
    foreign_id,
    introduce,
    restored,
)
from durable.adapters.openai_agents.seams.run_scope import own_run
from durable.adapters.openai_agents.state.stored_call import Rebuilding, call_of, live, rebuilt, stored_call
from durable.kit import Drive, Invocation, driving, opened, start, take
from durable.live.scope import scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents import Agent, RunResult, RunResultStreaming
    from agents.items import TResponseInputItem
    from agents.run_config import RunOptions

    from durable.adapters.openai_agents.state.stored_call import AgentCall
    from durable.live.segment import Segment
    from durable.runtime import Runtime


@dataclass(frozen=True, slots=True)
class DurableAgent:
    """An agent and the runtime it is durable in; see ``durable_agent``.

    Every result has the ``execution_id`` it came from.
    """

    agent: Agent[Any]
    runtime: Runtime
    name: str
    rebuilding: Rebuilding
    on_suspended: str = "supersede"

    async def run(
        self,
        input: str | list[TResponseInputItem] | RunState[Any],  # noqa: A002 - the SDK's name
        *,
        execution_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Unpack[RunOptions[Any]],
    ) -> RunResult:
        """As ``Runner.run``. The same ``execution_id`` and input again goes on, or returns what was recorded.

        A run that waits for approval returns with ``interruptions``, as the bare one, and holds nothing meanwhile;
        decide them in the inbox and call again, or let a worker go on. ``tags`` are those of the execution it starts,
        as of ``Runtime.start``. Raises what the bare run raises;
        ExecutionSuspended if it waits for something else (an outcome in doubt, a question, a time);
        ExecutionConflict, ExecutionBusy, ThreadBusy.
        """
        if scope() is not None:
            return await Runner.run(self.agent, input, **options)
        drive = await opened(self.runtime, partial(self._open, input, options, execution_id, tags))
        async with driving(drive):
            with run_of(drive.segment):
                if isinstance(input, RunState):
                    await self.runtime.database.on_journal_thread(adopt, input)
                result = await Runner.run(self.agent, input, **live(self.rebuilding, options))
            finish(drive, result)
        return result

    def run_sync(
        self,
        input: str | list[TResponseInputItem] | RunState[Any],  # noqa: A002 - the SDK's name
        *,
        execution_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Unpack[RunOptions[Any]],
    ) -> RunResult:
        """As ``Runner.run_sync``; see ``run``."""
        run = partial(self.run, input, execution_id=execution_id, tags=tags, **options)
        return _Runner(run).run_sync(self.agent, input, **options)

    def run_streamed(
        self,
        input: str | list[TResponseInputItem] | RunState[Any],  # noqa: A002 - the SDK's name
        *,
        execution_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Unpack[RunOptions[Any]],
    ) -> RunResultStreaming:
        """As ``Runner.run_streamed``; see ``run``. What ``run`` raises is raised by ``stream_events``."""
        if scope() is not None:
            return Runner.run_streamed(self.agent, input, **options)
        open_call = partial(self._open, input, options, execution_id, tags)
        with streams.opening(partial(opened, self.runtime, open_call)):
            return Runner.run_streamed(self.agent, input, **live(self.rebuilding, options))

    async def work(self, segment: Segment) -> Any:
        """Drive a claimed execution as a worker does: its output."""
        on_journal_thread = self.runtime.database.on_journal_thread
        call = stored_call(segment.execution.input)
        await on_journal_thread(check_code, segment, self.agent.name)
        await on_journal_thread(check_call, segment, call)
        with own_run():
            result = await Runner.run(self.agent, await self._given(segment), **rebuilt(call, self.rebuilding))
        return output_of(segment, result)

    async def _given(self, segment: Segment) -> Any:
        call = stored_call(segment.execution.input)
        return call.input if call.state is None else await restored(segment, self.agent, call)

    def _open(self, run_input: Any, options: Any, execution_id: str | None, tags: Mapping[str, str] | None) -> Drive:
        """Get hold of the execution that a call, or a RunState, belongs to. Blocks."""
        if isinstance(run_input, RunState):
            named = execution_id or execution_of(self.runtime, self.name, run_input)
            return self._open_state(run_input, options, named, tags)
        call = call_of(self.runtime, self.rebuilding, run_input, options)
        return self._take(self._start(call, execution_id, tags))

    def _open_state(
        self, state: RunState[Any], options: Any, execution_id: str | None, tags: Mapping[str, str] | None
    ) -> Drive:
        if execution_id is None:  # it comes from elsewhere, and starts an execution
            call = call_of(self.runtime, self.rebuilding, state, options)
            execution_id = self._start(call, foreign_id(self.name, call.state), tags)
            drive = self._take(execution_id)
            if drive.ended:
                return drive
            introduce(drive.segment, state)
        elif self.runtime.get(execution_id).status in {"failed", "dead"}:  # its questions went with it
            self.runtime.reopen(execution_id)
            drive = take(self.runtime, self.runtime.get(execution_id).execution())
            if not drive.ended:
                introduce(drive.segment, state)
        decide_natively(self.runtime, execution_id, state)
        return self._take(execution_id)

    def _start(self, call: AgentCall, execution_id: str | None, tags: Mapping[str, str] | None) -> str:
        named = {**(tags or {}), SDK: sdk_version(), AGENT: self.agent.name}
        invocation = Invocation(self.name, call, call.session_id, execution_id, self.on_suspended, named)
        return start(self.runtime, invocation).id

    def _take(self, execution_id: str) -> Drive:
        execution = self.runtime.get(execution_id).execution()
        return take(self.runtime, execution, partial(check_code, agent=self.agent.name))


class _Runner(AgentRunner):
    """The SDK's runner for one ``run_sync``: its handling of event loops, around a run of ours.

    It names the SDK's defaults, which would hide what an agent was wrapped with; the run knows its options itself.
    """

    def __init__(self, run: Any) -> None:
        self._run = run

    async def run(self, *_: Any, **__: Any) -> RunResult:
        result: RunResult = await self._run()
        return result
