"""Driving: what a run needs from its execution, and what it leaves behind there."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from durable.adapters.openai_agents.seams.results import recordable
from durable.adapters.openai_agents.seams.run_scope import own_run
from durable.errors import Unsupported
from durable.kit import Difference, compare
from durable.live.scope import root, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents import RunResult, RunResultStreaming

    from durable.adapters.openai_agents.state.stored_call import AgentCall
    from durable.kit import Drive
    from durable.live.segment import Segment

SDK = "openai-agents"
"""The tag of an execution that names the SDK's version it was started with."""
AGENT = "openai-agents.agent"
"""The tag that names the agent it was started with."""


def sdk_version() -> str:
    """Return the version of the SDK in this process."""
    return version(SDK)


@contextmanager
def run_of(segment: Segment) -> Iterator[None]:
    """Make the next run in this block the one that the execution is about."""
    with within(root(segment)), own_run():
        yield


def finish(drive: Drive, result: Any) -> None:
    """Take the output of a run that came to its end, or that waits."""
    result.execution_id = drive.segment.execution.id
    if not drive.ended:
        drive.output = output_of(drive.segment, result)


def output_of(segment: Segment, result: RunResult | RunResultStreaming) -> Any:
    """Return what is recorded as the output. Raises Unsupported for an interruption that no inbox can answer."""
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
    tags, sdk = segment.execution.tags, sdk_version()
    started_with, started_as = tags.get(SDK, sdk), tags.get(AGENT, agent)
    fits = started_with.split(".")[:2] == sdk.split(".")[:2]
    compare(segment, "drift:sdk", None if fits else Difference({SDK: started_with}, {SDK: sdk}))
    renamed = Difference({"agent": started_as}, {"agent": agent})
    compare(segment, "drift:agent", None if started_as == agent else renamed)


def check_call(segment: Segment, call: AgentCall) -> None:
    """Stop at drift if a worker cannot rebuild what the ``call`` was made with. Blocks."""
    why = (
        f"{', '.join(call.unkept)} of the call cannot be rebuilt by a worker; give it to durable_agent(...) (a "
        "context by context=factory), or continue with the same call and execution_id"
    )
    compare(segment, "drift:call", Difference(call.unkept, {"missing": why}) if call.unkept else None)
