"""Pydantic AI: ``durable_agent(agent, runtime)`` makes an existing agent survive the process it runs in.

Pydantic AI keeps running its own loop. An execution is continued by running that loop again from the top: answers of
models and results of tools come from the journal, so what has finished does not happen again.
"""

from __future__ import annotations

from examples.adapters.pydantic_ai.entry import DurableAgent, durable_agent

__all__ = ["DurableAgent", "durable_agent"]
