"""What policies and budgets say, holds in LangGraph, the OpenAI Agents SDK and Google ADK alike."""

from __future__ import annotations

import asyncio

import pytest
from agents import function_tool
from google.adk.agents.llm_agent import LlmAgent
from langchain.agents import create_agent
from langchain_core.tools import tool as langchain_tool

from durable import Approval, Budget, Decision, Rate, ToolPolicy
from durable.adapters.google_adk import durable_runner
from durable.adapters.langgraph import durable_graph
from durable.adapters.openai_agents import durable_agent
from durable.errors import DurableError
from tests.adapters import adk_world as adk
from tests.adapters import langgraph_world as lg
from tests.adapters import openai_world as oa
from tests.world import HOUR, World


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


def test_the_agent_is_told_what_is_not_allowed_and_goes_on(world, framework):
    rules = {
        "agent:clerk/pay": ToolPolicy(allowed_when="arguments.amount <= 100 && agent == 'clerk' && app == 'desk'"),
        "agent:other/pay": ToolPolicy(allowed_when="false"),
        "app:desk/pay": ToolPolicy(approval=True),
    }
    runtime = world.process(policies=rules)
    told = framework(world, [20, 900]).go(runtime)
    assert "paid 20" in told[0]
    assert "the policy allows this call only where" in told[1]
    assert world.effects == [20]
    (refused,) = [record for record in only(runtime).history() if "not_allowed" in record.meta]
    assert (refused.kind, refused.meta["name"]) == ("step_failed", "pay")


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


def test_a_person_is_asked_before_a_model_is(world, framework):
    runtime = world.process(budget=Budget(model_calls=1, approval=True))
    try:
        framework(world, [1]).go(runtime)
    except DurableError:
        pass  # what the framework's own result cannot show
    (asked,) = runtime.interrupts()
    assert asked.rule == "budget: model_calls: 1 of 1"
    runtime.decide(asked.id, Decision.approve(), by="fay")
    runtime.recover()
    assert only(runtime).status == "succeeded"
    assert world.effects == [1]


@pytest.mark.parametrize("allowed", [True, False])
def test_an_agent_that_is_a_tool_is_entered_only_where_it_is_allowed(world, allowed):
    runtime = world.process(policies={"helper": ToolPolicy(allowed_when=str(allowed).lower())})
    inner = oa.agent("inner", oa.Model("helped"))
    helper = inner.as_tool("helper", "Helps.")
    outer = oa.agent("clerk", oa.Model([oa.call("helper", "h1", input="x")], "end"), helper)
    found = asyncio.run(durable_agent(outer, runtime, name="desk").run("go"))
    (told,) = [item.output for item in found.new_items if item.type == "tool_call_output_item"]
    assert ("helped" in told, "only where" in told) == (allowed, not allowed)


def test_past_its_budget_an_execution_fails_whatever_the_framework_makes_of_it(world, framework):
    runtime = world.process(budget=Budget(tool_calls=1))
    with pytest.raises(Exception, match="has used up its budget"):
        framework(world, [1, 2, 3]).go(runtime)
    assert only(runtime).execution().error["type"] == "BudgetExceeded"
    assert world.effects == [1]


def test_a_call_beyond_the_rate_waits_without_a_worker(world, framework):
    policies = {"tag:none": ToolPolicy(approval=True), "p*": ToolPolicy(rate=Rate(1, per=HOUR))}
    runtime = world.process(policies=policies)
    agent = framework(world, [1, 2])
    try:
        agent.go(runtime)
    except DurableError:
        pass  # what the framework's own result cannot show
    found = only(runtime).execution()
    assert (found.status, found.lease_owner, world.effects) == ("suspended", None, [1])
