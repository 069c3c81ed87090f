"""Every adapter keeps the promises of the suite."""

from __future__ import annotations

from durable.testing import adapter_suite
from tests.adapters.suite.google_adk import GoogleADK
from tests.adapters.suite.langgraph import LangGraph
from tests.adapters.suite.openai_agents import OpenAIAgents
from tests.postgres import session_database

TestLangGraph = adapter_suite(LangGraph(), postgres=session_database)
TestOpenAIAgents = adapter_suite(OpenAIAgents(), postgres=session_database)
TestGoogleADK = adapter_suite(GoogleADK(), postgres=session_database)
