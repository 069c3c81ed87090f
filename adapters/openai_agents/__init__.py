"""OpenAI Agents SDK: ``durable_agent(agent, runtime)`` makes an existing agent survive the process it runs in.

The SDK keeps running its own loop. An execution is continued by running that loop again from the top: model answers
and tool results come from the journal, so what had finished does not happen again. Approvals, the SDK's own and those
of policies, are decided in the one inbox. ``durable_runs(runtime)`` does the same for plain ``Runner.run`` inside of
``with runtime.execution(id)``. A ``DurableSession`` is kept in the same database.
"""

from __future__ import annotations

from durable.adapters.openai_agents.entry.wrapping import durable_agent, durable_runs
from durable.adapters.openai_agents.state.session import DurableSession

__all__ = ["DurableSession", "durable_agent", "durable_runs"]
