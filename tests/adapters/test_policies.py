"""What models cost is counted in LangGraph, the OpenAI Agents SDK and Google ADK alike; and an agent that is a tool."""

from __future__ import annotations

import asyncio

import pytest
from agents import function_tool
from google.adk.agents.llm_agent import LlmAgent
from langchain.agents import create_agent
from langchain_core.tools import tool as langchain_tool

from durable import Approval, Budget, Decision, ToolPolicy
from durable.adapters.google_adk import durable_runner
from durable.adapters.langgraph import durable_graph
from durable.adapters.openai_agents import durable_agent
from durable.errors import DurableError
from tests.adapters import adk_world as adk
from tests.adapters import langgraph_world as lg
from tests.adapters import openai_world as oa
from tests.world import World


@pytest.fixture
def world(sqlite_url):
    made = World(sqlite_url)
    yield made
    made.close()


class Agent:
    """An agent named ``clerk`` in an app named ``desk``, whose model makes these calls of ``pay``, one a turn, and ends."""

    def __init__(self, world, amounts):
        self.world, self.amounts = world, amounts

    def pay(self, amount: int) -> str:
        return f"paid {self.world.did(amount)}"


class InLangGraph(Agent):
    model = "scripted"

    def go(self, runtime):
        lines = [lg.says("", lg.call("pay", f"c{n}", amount=amount)) for n, amount in enumerate(self.amounts)]
        pay = langchain_tool("pay", description="Pay.")(lambda amount: self.pay(amount))
        pay.args_schema = {"type": "object", "properties": {"amount": {"type": "integer"}}}
        built = create_agent(lg.Scripted(lines=[*lines, lg.says("end")]), [pay], name="clerk")
        graph = durable_graph(built, runtime, name="desk")
        found = graph.invoke({"messages": [("user", "go")]}, {"configurable": {"thread_id": "t"}})
        return [message.content for message in found["messages"] if message.type == "tool"]


class InOpenAI(Agent):
    model = "Model"

    def go(self, runtime):
        turns = [[oa.call("pay", f"c{n}", amount=amount)] for n, amount in enumerate(self.amounts)]

        @function_tool
        def pay(amount: int) -> str:
            """Pay."""
            return self.pay(amount)

        agent = durable_agent(oa.agent("clerk", oa.Model(*turns, "end"), pay), runtime, name="desk")
        found = asyncio.run(agent.run("go"))
        return [item.output for item in found.new_items if item.type == "tool_call_output_item"]


class InAdk(Agent):
    model = "script"

    def go(self, runtime):
        turns = [[adk.call("pay", amount=amount)] for amount in self.amounts]

        def pay(amount: int) -> str:
            """Pay."""
            return self.pay(amount)

        model = adk.Script(turns=[*turns, [adk.text("end")]])
        runner = durable_runner(LlmAgent(name="clerk", model=model, tools=[pay]), runtime, name="desk")
        events = adk.run(runner)
        return [next(iter(found.response.values())) for event in events for found in event.get_function_responses()]


@pytest.fixture(params=[InLangGraph, InOpenAI, InAdk], ids=["langgraph", "openai", "adk"])
def framework(request):
    return request.param


def only(runtime):
    (execution,) = runtime.executions()
    return runtime.get(execution.id)


def test_calls_models_and_money_are_counted_and_a_person_may_grant_more(world, framework):
    prices = {framework.model: {"input": 1e6, "output": 0.0}}
    budget = Budget(tool_calls=1, model_calls=9, money=99.0, prices=prices, approval=Approval(approvers=("fay",)))
    runtime = world.process(budget=budget)
    try:
        framework(world, [1, 2]).go(runtime)
    except DurableError:
        pass  # what the framework's own result cannot show
    (asked,) = runtime.interrupts()
    used = asked.subject["used"]
    assert (used["tool_calls"], used["model_calls"], used["money"]) == (1, 2, used["tokens"] - 4)
    assert world.effects == [1]
    assert only(runtime).status == "suspended"
    runtime.decide(asked.id, Decision.approve(), by="fay")
    runtime.recover()
    assert only(runtime).status == "succeeded"
    assert world.effects == [1, 2]


@pytest.mark.parametrize("allowed", [True, False])
def test_an_agent_that_is_a_tool_is_entered_only_where_it_is_allowed(world, allowed):
    runtime = world.process(policies={"helper": ToolPolicy(allowed_when=str(allowed).lower())})
    inner = oa.agent("inner", oa.Model("helped"))
    helper = inner.as_tool("helper", "Helps.")
    outer = oa.agent("clerk", oa.Model([oa.call("helper", "h1", input="x")], "end"), helper)
    found = asyncio.run(durable_agent(outer, runtime, name="desk").run("go"))
    (told,) = [item.output for item in found.new_items if item.type == "tool_call_output_item"]
    assert ("helped" in told, "only where" in told) == (allowed, not allowed)
