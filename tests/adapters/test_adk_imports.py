"""The adapter imports the parts of ADK that it uses, and no others: a worker starts with it, and after each crash again."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

ASKED = "import durable.adapters.google_adk, sys; print(*sys.modules)"
NOT_USED = (
    "google.adk.workflow._function_node",
    "google.adk.workflow._tool_node",
    "google.adk.workflow._workflow",
    "google.adk.cli",
    "google.adk.evaluation",
    "google.adk.sessions.database_session_service",
    "google.adk.sessions.sqlite_session_service",
    "google.adk.tools.mcp_tool",
    "google.adk.tools.openapi_tool",
    "google.adk.models.lite_llm",
    "google.adk.code_executors.container_code_executor",
    "google.adk.code_executors.vertex_ai_code_executor",
    "google.cloud",
    "vertexai",
    "fastapi",
    "starlette",
    "mcp",
    "pandas",
    "langgraph",
    "langchain_core",
    "agents",
    "openai",
)


def test_what_it_does_not_use_is_not_imported():
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "google.adk.runners" in loaded
    assert all(importlib.util.find_spec(name) for name in NOT_USED if name.startswith("google.adk."))
    found = {name for name in loaded for unused in NOT_USED if name == unused or name.startswith(f"{unused}.")}
    assert found == set()
