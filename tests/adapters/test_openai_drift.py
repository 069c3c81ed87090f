"""The agent, its tools or the SDK changed while an execution waits, or what it waits for cannot be answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from agents import Agent, HostedMCPTool, Runner
from agents.testing import ModelStep, ScriptedModel
from openai.types.responses.response_output_item import McpApprovalRequest

from durable import Decision, Runtime
from durable.adapters.openai_agents import durable_agent
from durable.adapters.openai_agents.entry import drive
from durable.errors import AlreadyDecided, ExecutionCancelled, ExecutionSuspended, Unsupported
from tests.adapters.openai_world import Ledger, Model, acting, agent, call

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def runtime(sqlite_url: str) -> Iterator[Runtime]:
    with Runtime(sqlite_url) as runtime:
        yield runtime


@pytest.fixture
def ledger(tmp_path: Any) -> Ledger:
    return Ledger(tmp_path / "ledger")


def app(ledger: Ledger, *, second: str = "second") -> Agent[Any]:
    """One that hands off to another one, whose tool needs approval."""
    other = agent(second, Model(None, [call("act", "c1", what="a")], "end"), acting(ledger, needs_approval=True))
    return Agent(name="first", model=Model([call("transfer_to_second", "h1")]), handoffs=[other])


def go(durable: Any, given: Any = "go") -> Any:
    return asyncio.run(durable.run(given, execution_id="x"))


def asked(runtime: Runtime, kind: str) -> Any:
    [row] = [row for row in runtime.interrupts() if row.kind == kind]
    return row


def test_another_minor_version_of_the_sdk_is_drift_until_somebody_approves(
    runtime: Runtime, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable = durable_agent(app(ledger), runtime, name="app")
    with monkeypatch.context() as before:
        before.setattr(drive, "version", lambda _: "0.23.4")
        assert len(go(durable).interruptions) == 1
    runtime.decide(asked(runtime, "approval").id, Decision.approve(), by="alice")
    with pytest.raises(ExecutionSuspended):
        go(durable)
    row = asked(runtime, "drift")
    assert row.subject["recorded"] == {"openai-agents": "0.23.4"}
    assert row.subject["now"]["openai-agents"].startswith("0.24")
    assert ledger.counts() == {}
    runtime.decide(row.id, Decision.approve(), by="alice")
    assert go(durable).final_output == "end"
    assert ledger.counts() == {"a": 1}


def test_another_patch_of_the_sdk_is_none(runtime: Runtime, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    durable = durable_agent(app(ledger), runtime, name="app")
    monkeypatch.setattr(drive, "version", lambda _: "0.24.0")
    go(durable)
    monkeypatch.setattr(drive, "version", lambda _: "0.24.9")
    assert len(go(durable).interruptions) == 1


def test_an_agent_that_was_renamed_is_drift_where_it_was_handed_off_to(runtime: Runtime, ledger: Ledger) -> None:
    go(durable_agent(app(ledger), runtime, name="app"))
    runtime.decide(asked(runtime, "approval").id, Decision.approve(), by="alice")
    renamed = durable_agent(app(ledger, second="other"), runtime, name="app")
    with pytest.raises(ExecutionSuspended):
        go(renamed)
    row = asked(runtime, "drift")
    assert row.subject["recorded"] == {"called": ["transfer_to_second"]}
    assert row.subject["now"] == {"offered": ["transfer_to_other"]}
    assert ledger.counts() == {}
    runtime.decide(row.id, Decision.cancel(), by="alice")
    with pytest.raises(ExecutionCancelled):
        go(renamed)


def test_the_agent_itself_renamed_is_drift_until_somebody_approves(runtime: Runtime, ledger: Ledger) -> None:
    def named(name: str) -> Any:
        model = Model([call("act", "c1", what="a")], "end")
        return durable_agent(agent(name, model, acting(ledger, needs_approval=True)), runtime, name="app")

    go(named("desk"))
    runtime.decide(asked(runtime, "approval").id, Decision.approve(), by="alice")
    renamed = named("counter")
    assert [found.status for found in runtime.recover()] == ["suspended"]
    row = asked(runtime, "drift")
    assert (row.subject["recorded"], row.subject["now"]) == ({"agent": "desk"}, {"agent": "counter"})
    assert ledger.counts() == {}
    runtime.decide(row.id, Decision.approve(), by="alice")
    assert go(renamed).final_output == "end"
    assert ledger.counts() == {"a": 1}


def test_an_agent_that_a_state_needs_and_that_was_renamed_is_drift(runtime: Runtime, ledger: Ledger) -> None:
    state = asyncio.run(Runner.run(app(ledger), "go")).to_state()  # of the bare SDK
    first = durable_agent(app(ledger), runtime, name="app")
    assert len(asyncio.run(first.run(state)).interruptions) == 1
    row = asked(runtime, "approval")
    runtime.decide(row.id, Decision.approve(), by="alice")
    durable_agent(app(ledger, second="other"), runtime, name="app")
    assert [found.status for found in runtime.recover()] == ["suspended"]
    assert asked(runtime, "drift").subject["recorded"] == {"current_agent": {"name": "second"}}
    assert ledger.counts() == {}


def test_a_decision_on_a_call_whose_tool_is_gone_runs_nothing(runtime: Runtime, ledger: Ledger) -> None:
    def one(*tools: Any) -> Any:
        return durable_agent(agent("app", Model([call("act", "c1", what="a")], "end"), *tools), runtime, name="app")

    durable = one(acting(ledger, needs_approval=True))
    go(durable)
    row = asked(runtime, "approval")
    runtime.decide(row.id, Decision.approve(), by="alice")
    with pytest.raises(ExecutionSuspended):
        go(one())
    drift = asked(runtime, "drift")
    assert drift.subject["recorded"] == {"called": ["act"]}
    assert (runtime.interrupt(row.id).status, ledger.counts()) == ("decided", {})
    runtime.get("x").cancel("the tool is gone")
    assert runtime.interrupt(row.id).status == "cancelled"
    with pytest.raises(AlreadyDecided):
        runtime.decide(row.id, Decision.reject("too late"), by="bob")
    assert ledger.counts() == {}


def test_an_approval_of_a_hosted_mcp_tool_is_refused_by_name(runtime: Runtime) -> None:
    wanted = McpApprovalRequest(id="m1", arguments="{}", name="pay", server_label="shop", type="mcp_approval_request")
    config: Any = {"type": "mcp", "server_label": "shop", "server_url": "https://shop", "require_approval": "always"}
    model = ScriptedModel([ModelStep(output=[wanted])])
    durable = durable_agent(agent("app", model, HostedMCPTool(tool_config=config)), runtime, name="app")
    with pytest.raises(Unsupported, match="pay.*on_approval_request"):
        go(durable)
    assert runtime.get("x").status == "failed"
