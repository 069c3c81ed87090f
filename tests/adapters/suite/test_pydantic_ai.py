"""The adapter that the guide builds keeps the promises of the suite."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from pydantic_ai import Agent, DeferredToolRequests, Tool
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import ExternalToolset

from durable import Decision, Runtime, Unsupported
from durable.errors import ExecutionSuspended
from durable.testing import adapter_suite
from durable.testing.processes import sqlite_template
from examples.adapters.pydantic_ai import durable_agent
from examples.adapters.pydantic_ai.suite import PydanticAI
from tests.postgres import session_database

TestPydanticAI = adapter_suite(PydanticAI(), postgres=session_database)


@pytest.fixture
def runtime(tmp_path):
    with Runtime(f"sqlite:///{shutil.copy(sqlite_template(), tmp_path / 'durable.db')}") as runtime:
        yield runtime


def calling(name):
    """A model that calls a tool once, and ends."""

    def answer(messages, _):
        ended = any(part.part_kind == "tool-return" for part in messages[-1].parts)
        return ModelResponse(parts=[TextPart("end") if ended else ToolCallPart(name, {"x": 1}, tool_call_id="c1")])

    return FunctionModel(answer)


async def test_what_the_framework_itself_asks_approval_for_is_decided_in_the_inbox(runtime):
    done = []

    def pay(x: int) -> str:
        done.append(x)
        return "paid"

    agent = durable_agent(Agent(calling("pay"), name="desk", tools=[Tool(pay, requires_approval=True)]), runtime)
    with pytest.raises(ExecutionSuspended):
        await agent.run("go", execution_id="e")
    (asked,) = runtime.interrupts()
    assert (asked.tool, asked.arguments, asked.rule, done) == ("pay", {"x": 1}, "requires_approval", [])
    runtime.decide(asked.id, Decision.approve(), by="fay")
    assert (await agent.run("go", execution_id="e")).output == "end"
    assert done == [1]


class Receipt:
    def __str__(self):
        return "a receipt"


async def test_what_a_tool_returns_is_recorded_as_the_model_is_told_it(runtime):
    def pay(x: int) -> Any:
        return Receipt()

    agent = durable_agent(Agent(calling("pay"), name="desk", tools=[Tool(pay)]), runtime)
    results = [await agent.run("go", execution_id="e") for _ in range(2)]
    told = [message.parts[0].content for result in results for message in result.all_messages()[2:3]]
    assert told == ["a receipt", "a receipt"]


async def test_tools_that_somebody_else_runs_are_refused_by_name(runtime):
    toolset = ExternalToolset([ToolDefinition(name="pay")])
    bare = Agent(calling("pay"), name="desk", toolsets=[toolset], output_type=[str, DeferredToolRequests])
    with pytest.raises(Unsupported, match="external tools, which somebody else runs"):
        await durable_agent(bare, runtime).run("go", execution_id="e")
