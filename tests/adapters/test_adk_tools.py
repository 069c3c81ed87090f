"""Tools of every kind that ADK has: recorded, not run again, and governed by policies under their names."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from google.adk import Workflow
from google.adk.agents import LlmAgent
from google.adk.tools import FunctionTool
from google.adk.tools.agent_tool import AgentTool
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams
from google.adk.tools.openapi_tool import OpenAPIToolset
from mcp import StdioServerParameters

from durable import Decision, ToolPolicy
from durable.adapters.google_adk import durable_runner
from tests.adapters.adk_world import Script, call, events_of, final, run, session_of, text, told
from tests.openapi.server import Api, Reply
from tests.world import DAY, HOUR, Died, World

MCP_SERVER = Path(__file__).with_name("adk_mcp_server.py")


@pytest.fixture
def world(sqlite_url):
    made = World(sqlite_url)
    yield made
    made.close()


@pytest.fixture
def api():
    made = Api()
    yield made
    made.close()


def orders(url):
    """A document with one operation, ``create_order``."""
    item = {"name": "item", "in": "query", "required": True, "schema": {"type": "string"}}
    answers = {"200": {"description": "done", "content": {"application/json": {"schema": {"type": "object"}}}}}
    operation = {"operationId": "create_order", "summary": "Order.", "parameters": [item], "responses": answers}
    paths = {"/orders": {"post": operation}}
    return {"openapi": "3.0.0", "info": {"title": "o", "version": "1"}, "servers": [{"url": url}], "paths": paths}


class Away:
    """An agent whose tools are elsewhere: ``pay`` on an MCP server, ``create_order`` behind HTTP; and ``close`` here."""

    turns = [[call("pay", amount=3), call("create_order", item="book")], [call("close")], [text("done")]]
    policies = {
        "pay": ToolPolicy(approval=True),
        "create_order": ToolPolicy(approval=True),
        "close": ToolPolicy(effect="idempotent"),
    }

    def __init__(self, world, api, ledger):
        self.world, self.api, self.ledger, self.deadly = world, api, ledger, True

    def paid(self):
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []

    async def close(self) -> dict:
        """Close."""
        if self.deadly:
            self.world.die()
        return {"closed": True}

    @asynccontextmanager
    async def runner(self):
        server = StdioServerParameters(command=sys.executable, args=[str(MCP_SERVER), str(self.ledger)])
        shop = McpToolset(connection_params=StdioConnectionParams(server_params=server, timeout=60))
        http = OpenAPIToolset(spec_dict=orders(self.api.url), allow_private_network_access=True)
        agent = LlmAgent(name="root", model=Script(turns=self.turns), tools=[shop, http, self.close])
        try:
            yield durable_runner(agent, self.world.process(later=HOUR, policies=self.policies), name="app")
        finally:
            await shop.close()
            await http.close()


@pytest.mark.filterwarnings("ignore:Setting per-request cookies:DeprecationWarning")  # ADK's own call of httpx
async def test_tools_of_an_mcp_server_and_of_an_http_api_wait_for_their_approval_and_run_once(world, api, tmp_path):
    away = Away(world, api, tmp_path / "ledger")
    api.replies.append(Reply(body={"order": 7}))
    async with away.runner() as runner:
        await events_of(runner, execution_id="e")
        asked = runner.runtime.interrupts()
    assert {one.tool: one.arguments for one in asked} == {"pay": {"amount": 3}, "create_order": {"item": "book"}}
    assert (away.paid(), api.arrived) == ([], [])
    async with away.runner() as runner:
        for one in asked:
            runner.runtime.decide(one.id, Decision.approve(), by="ann")
        with pytest.raises(Died):
            await events_of(runner, None, execution_id="e")
    away.deadly = False
    async with away.runner() as runner:
        assert final(await events_of(runner, None, execution_id="e")) == "done"
    assert away.paid() == ["pay 3"]
    assert api.only.target == "/orders?item=book"
    answers = " ".join(told(await runner.session_service.get_session(app_name="app", user_id="ann", session_id="s")))
    assert "paid 3" in answers
    assert "create_order -> {'order': 7}" in answers


def decided(world, build, decision, tool):
    """The result of an app in which a call of this tool is gated by its name, and decided by another process."""
    policies = {tool: ToolPolicy(approval=True)}
    run(durable_runner(build(), world.process(policies=policies), name="app"), execution_id="e")
    assert world.effects == []
    runner = durable_runner(build(), world.process(later=DAY, policies=policies), name="app")
    (asked,) = runner.runtime.interrupts()
    assert (asked.kind, asked.tool) == ("approval", tool)
    runner.runtime.decide(asked.id, decision, by="ann")
    runner.runtime.recover()
    return runner


@pytest.mark.parametrize("approved", [True, False])
def test_an_agent_that_is_a_tool_is_governed_by_its_name(world, approved):
    async def t1() -> dict:
        """Act."""
        return {"did": world.did("t1")}

    def build():
        sub = LlmAgent(name="sub", model=Script(turns=[[call("t1")], [text("sub done")]]), tools=[t1])
        model = Script(turns=[[call("sub", request="go")], [text("done")]])
        return LlmAgent(name="root", model=model, tools=[AgentTool(agent=sub)])

    runner = decided(world, build, Decision.approve() if approved else Decision.reject("no"), "sub")
    assert (runner.runtime.get("e").result(), world.effects) == ("done", ["t1"] if approved else [])
    said = "sub -> {'result': 'sub done'}" if approved else "sub -> {'error': 'sub was rejected: no'}"
    assert said in told(session_of(runner))


def test_a_tool_that_is_a_node_is_governed_by_its_name(world):
    def pay(amount: int) -> dict:
        """Pay."""
        return {"paid": world.did(amount)}

    def build():
        def amount(node_input) -> dict:
            return {"amount": 300}

        return Workflow(name="root", edges=[("START", amount, FunctionTool(pay))])

    runner = decided(world, build, Decision.edit({"amount": 3}), "pay")
    assert (runner.runtime.get("e").result(), world.effects) == ({"paid": 3}, [3])
