"""Driving: one call of a wrapped agent is one segment, closed as what came of the SDK's loop says."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from durable.adapters.openai_agents.seams import drift
from durable.adapters.openai_agents.seams.results import recordable
from durable.adapters.openai_agents.seams.run_scope import own_run
from durable.errors import Unsupported
from durable.live.scope import root, within
from durable.run.block import leave

if TYPE_CHECKING:
    from agents import RunResult, RunResultStreaming

    from durable.adapters.openai_agents.state.stored_call import AgentCall
    from durable.live.segment import Segment

SDK = "openai-agents"
"""The tag of an execution that names the SDK's version it was started with."""
AGENT = "openai-agents.agent"
"""The tag that names the agent it was started with."""


def sdk_version() -> str:
    """The version of the SDK in this process."""
    return version(SDK)


@dataclass(slots=True)
class Drive:
    """A segment on its way. ``ended``: the execution has ended before, and its record is only read again."""

    segment: Segment
    ended: bool
    agent: str
    output: Any = None

    def finish(self, result: Any) -> None:
        """Take the output of a run that came to its end, or that waits."""
        result.execution_id = self.segment.execution.id
        if not self.ended:
            self.output = output_of(self.segment, result)


def output_of(segment: Segment, result: RunResult | RunResultStreaming) -> Any:
    """What is recorded as the execution's output. Raises Unsupported for an interruption that no inbox can answer."""
    if result.interruptions and not segment.waits:
        kinds = sorted({str(item.tool_name or item.name) for item in result.interruptions})
        msg = (
            f"an approval that is not a function tool's ({', '.join(kinds)}): give the hosted tool an "
            "on_approval_request or on_approval callback, or require no approval"
        )
        raise Unsupported(msg)
    return recordable(segment.runtime, result.final_output)


def check_code(segment: Segment, agent: str) -> None:
    """Stop at drift if the SDK was exchanged or the agent renamed since the execution was started. Blocks."""
    tags, now = segment.execution.tags, sdk_version()
    recorded = tags.get(SDK, now)
    if recorded.split(".")[:2] != now.split(".")[:2]:
        drift.settle(segment, "drift:sdk", recorded={SDK: recorded}, now={SDK: now})
    else:
        drift.withdraw(segment, "drift:sdk")
    if tags.get(AGENT, agent) != agent:
        drift.settle(segment, "drift:agent", recorded={"agent": tags[AGENT]}, now={"agent": agent})
    else:
        drift.withdraw(segment, "drift:agent")


def check_call(segment: Segment, call: AgentCall) -> None:
    """Stop at drift if a worker cannot rebuild what the ``call`` was made with. Blocks."""
    if call.unkept:
        why = (
            f"{', '.join(call.unkept)} of the call cannot be rebuilt by a worker; give it to durable_agent(...) (a "
            "context by context=factory), or continue with the same call and execution_id"
        )
        drift.settle(segment, "drift:call", recorded=call.unkept, now={"missing": why})
    else:
        drift.withdraw(segment, "drift:call")


class driven:  # noqa: N801 - a context manager
    """The block is the run; then its outcome is recorded, and what the caller should see is raised.

    Raises ExecutionSuspended if it waits for something that the SDK cannot show, ExecutionCancelled, and what the run
    raised. No async generator: ``run_sync`` shuts those of its event loop down, and uses the loop again.
    """

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._entered = ExitStack()

    async def __aenter__(self) -> Drive:
        segment = self._drive.segment
        self._entered.enter_context(within(root(segment)))
        self._entered.enter_context(own_run())
        if not self._drive.ended:
            try:
                await segment.runtime.database.surely_on_journal_thread(check_code, segment, self._drive.agent)
            except BaseException as exc:
                await self._leave(exc)
                raise
        return self._drive

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> bool:
        await self._leave(error)
        return False

    async def _leave(self, error: BaseException | None) -> None:
        self._entered.close()
        segment = self._drive.segment
        await segment.runtime.database.surely_on_journal_thread(leave, self._drive, error)
