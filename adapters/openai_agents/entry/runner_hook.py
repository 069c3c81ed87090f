"""Runs: every ``Runner.run`` and ``Runner.run_streamed`` inside an execution works in its place, and is durable there.

The seam lies at the runner, so runs that a tool, a guardrail or a callback starts come by here, and those of
sub-agents. A run that a tool started, and that waits for a decision, lets the execution go: the tool could not tell
that from an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import run as sdk
from agents.run import AgentRunner

from durable.adapters.openai_agents.entry import streams
from durable.adapters.openai_agents.entry.graph import check_agents
from durable.adapters.openai_agents.entry.run_state import adopt
from durable.adapters.openai_agents.seams.run_scope import path_of_run, place_of_run
from durable.adapters.openai_agents.state.other_sessions import journaled
from durable.errors import Suspended
from durable.kit import hook
from durable.live.scope import scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents import RunResult


def hook_runs() -> None:
    """Put the seams in place, once per process."""
    hook(AgentRunner, "run", _running)
    hook(sdk, "start_streaming", _streaming)


def _running(run: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_run(self: Any, starting_agent: Any, input: Any, **options: Any) -> RunResult:  # noqa: A002 - the SDK's name
        place = scope()
        if place is None:
            result: RunResult = await run(self, starting_agent, input, **options)
            return result
        check_agents(starting_agent)
        with place_of_run(place, await path_of_run(place, starting_agent, input)) as own:
            options["session"] = journaled(options.get("session"))
            result = await run(self, starting_agent, input, **options)
        if result.interruptions and not own and place.inside and place.segment.waits:
            raise Suspended
        return result

    return durable_run


def _streaming(start: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_start(**about: Any) -> None:
        async with streams.opened(about["streamed_result"]):
            place = scope()
            if place is None:
                await start(**about)
                return
            state = about["run_state"] if about.get("is_resumed_state") else None
            run_input = about["starting_input"] if state is None else state
            with streams.beginning(about["streamed_result"]):
                check_agents(about["starting_agent"])
                path = await path_of_run(place, about["starting_agent"], run_input)
            with place_of_run(place, path):
                if state is not None:
                    with streams.beginning(about["streamed_result"]):
                        await place.segment.runtime.database.on_journal_thread(adopt, state)
                about["session"] = journaled(about.get("session"))
                await start(**about)

    return durable_start
