"""OpenAI Agents SDK: sessions in our database, written once with the step they belong to."""

from __future__ import annotations

from durable.adapters.openai_agents.session import DurableSession

__all__ = ["DurableSession"]
