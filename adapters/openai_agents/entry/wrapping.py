"""``durable_agent``: the one line; ``durable_runs``: the other one, for plain ``Runner.run`` in a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.adapters.openai_agents.entry.agent import DurableAgent
from durable.adapters.openai_agents.entry.forked import forked
from durable.adapters.openai_agents.entry.graph import check_agents
from durable.adapters.openai_agents.entry.runner_hook import hook_runs
from durable.adapters.openai_agents.entry.types import types_of
from durable.adapters.openai_agents.seams.approvals import hook_approvals
from durable.adapters.openai_agents.seams.approvals_policy import hook_gates
from durable.adapters.openai_agents.seams.guardrails import hook_guardrails
from durable.adapters.openai_agents.seams.local_tool_steps import hook_executors
from durable.adapters.openai_agents.seams.mcp_tools import hook_mcp
from durable.adapters.openai_agents.seams.models import hook_models
from durable.adapters.openai_agents.seams.results import FRAMEWORK_TYPES
from durable.adapters.openai_agents.seams.tools import hook_tools
from durable.adapters.openai_agents.state.stored_call import AgentCall, Rebuilding
from durable.kit import register

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents import Agent

    from durable.runtime import Runtime


def durable_agent(  # noqa: PLR0913 - what holds for every run of an agent
    agent: Agent[Any],
    runtime: Runtime,
    *,
    name: str | None = None,
    version: str | None = None,
    context: Callable[[Any], Any] | None = None,
    session: Callable[[str], Any] | None = None,
    on_suspended: str = "supersede",
    **options: Any,
) -> DurableAgent:
    """The same agent with ``Runner``'s ``run``, ``run_sync`` and ``run_streamed``, every run an execution.

    ``name`` defaults to the agent's own. ``execution_id=`` makes a call idempotent; workers continue what is abandoned.
    ``context`` builds the run's context from JSON: it gets what is given as ``context=`` to a run, in every process.
    ``session`` builds a session from its id. ``options`` are those of ``Runner.run`` (hooks, run_config, ...) for every
    run. The id of a session is the thread: ``on_suspended="refuse"`` raises ThreadBusy for new input while one waits.

    Raises Unsupported for what cannot be made durable, by name; InvalidConfiguration for what is no agent.
    """
    check_agents(agent)
    hook_sdk()
    durable = DurableAgent(agent, runtime, name or agent.name, Rebuilding(context, session, options), on_suspended)
    types = (*FRAMEWORK_TYPES, AgentCall, *types_of(agent))
    register(
        runtime, durable.name, durable.work, version=version, types=types, on_suspended=on_suspended, forked=forked
    )
    return durable


def durable_runs(runtime: Runtime) -> None:
    """Make plain ``Runner.run`` and ``Runner.run_streamed`` durable inside of this runtime's executions.

    So in ``with runtime.execution(id):``, in a ``@runtime.function``, and in a tool of another framework. Calls that
    need approval come back as ``interruptions``; decide them in the inbox, and run the same code again. A run raises
    Unsupported for an agent that ``durable_agent`` would refuse.
    """
    hook_sdk()
    runtime.register_types(FRAMEWORK_TYPES)


def hook_sdk() -> None:
    """Put all seams in place, once per process; they do nothing outside of executions."""
    hook_runs()
    hook_models()
    hook_gates()
    hook_approvals()
    hook_tools()
    hook_executors()
    hook_mcp()
    hook_guardrails()
