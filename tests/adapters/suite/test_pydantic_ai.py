"""The adapter that the guide builds keeps the promises of the suite."""

from __future__ import annotations

from durable.testing import adapter_suite
from examples.adapters.pydantic_ai.suite import PydanticAI
from tests.postgres import session_database

TestPydanticAI = adapter_suite(PydanticAI(), postgres=session_database)
