"""Approvals of the SDK and of policies: rows of the one inbox, delivered once, whoever goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from agents import RunContextWrapper, function_tool
from agents.extensions.experimental.codex import codex_tool
from agents.realtime import RealtimeAgent
from agents.run_state import RunState
from agents.sandbox import SandboxAgent

from durable import Approval, Decision, Runtime, ToolPolicy
from durable.adapters.openai_agents import durable_agent
from durable.errors import AlreadyDecided, ExecutionSuspended, InvalidConfiguration, Unsupported
from tests.adapters.openai_world import Ledger, Model, acting, agent, call

if TYPE_CHECKING:
    from collections.abc import Iterator

GATED = {"act": ToolPolicy(approval=Approval(rule="finance"))}


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    with Runtime(database_url) as runtime:
        yield runtime


@pytest.fixture
def ledger(tmp_path: Any) -> Ledger:
    return Ledger(tmp_path / "ledger")


def two(ledger: Ledger, **options: Any) -> Any:
    turns = [[call("act", "c1", what="a"), call("act", "c2", what="b")], "end"]
    return agent("app", Model(*turns), acting(ledger, **options))


def go(durable: Any, given: Any = "go", execution_id: str | None = "x") -> Any:
    return asyncio.run(durable.run(given, execution_id=execution_id))


def outputs(result: Any) -> list[Any]:
    return [item.output for item in result.new_items if item.type == "tool_call_output_item"]


@pytest.mark.parametrize("native", [True, False], ids=["needs_approval", "policy"])
def test_several_pending_calls_are_decided_in_any_order(runtime: Runtime, ledger: Ledger, native: bool) -> None:
    runtime.policies.update({} if native else GATED)
    durable = durable_agent(two(ledger, needs_approval=native), runtime, name="app")
    result = go(durable)
    assert [item.call_id for item in result.interruptions] == ["c1", "c2"]
    assert (runtime.get("x").status, ledger.counts()) == ("suspended", {})
    rows = {row.step_key: row for row in runtime.interrupts()}
    assert {row.rule for row in rows.values()} == {"needs_approval" if native else "finance"}
    runtime.decide(rows["tool:c2"].id, Decision.edit({"what": "z"}), by="alice")
    assert [found.status for found in runtime.recover()] == ["suspended"]
    assert ledger.counts() == {"z": 1}
    runtime.decide(rows["tool:c1"].id, Decision.reject("too much"), by="bob")
    assert [item.call_id for item in go(durable).interruptions] == []
    result = go(durable)
    assert (result.final_output, outputs(result)) == ("end", ["too much", "z done"])
    assert ledger.counts() == {"z": 1}
    with pytest.raises(AlreadyDecided):
        runtime.decide(rows["tool:c1"].id, Decision.approve(), by="eve")


def test_an_answer_in_place_of_the_call(runtime: Runtime, ledger: Ledger) -> None:
    durable = durable_agent(two(ledger, needs_approval=True), runtime, name="app")
    go(durable)
    for row in runtime.interrupts():
        runtime.decide(row.id, Decision.respond(f"{row.arguments['what']} by hand"), by="alice")
    assert outputs(go(durable)) == ["a by hand", "b by hand"]
    assert ledger.counts() == {}


@pytest.mark.parametrize("gate", ["inner call", "sub-agent"])
def test_an_approval_inside_or_of_a_sub_agent(runtime: Runtime, ledger: Ledger, gate: str) -> None:
    inner = agent(
        "inner", Model([call("act", "i1", what="b")], "inner end"), acting(ledger, needs_approval=gate == "inner call")
    )
    outer = Model([call("ask", "s1", input="go")], "end")
    tool = inner.as_tool("ask", "ask", needs_approval=gate == "sub-agent")
    durable = durable_agent(agent("app", outer, tool), runtime, name="app")
    assert len(go(durable).interruptions) == 1
    [row] = runtime.interrupts()
    assert row.step_key == ("tool:s1/tool:i1" if gate == "inner call" else "tool:s1")
    runtime.decide(row.id, Decision.approve(), by="alice")
    assert [found.output for found in runtime.recover()] == ["end"]
    assert ledger.counts() == {"b": 1}
    assert outputs(go(durable)) == ["inner end"]


def test_a_state_decides_once_however_often_it_is_given(runtime: Runtime, ledger: Ledger) -> None:
    app = two(ledger, needs_approval=True)
    durable = durable_agent(app, runtime, name="app")
    state = go(durable).to_state()
    for item in state.get_interruptions():
        state.approve(item)
    stored = state.to_string()

    async def again() -> Any:
        return await durable.run(await RunState.from_string(app, stored))

    assert asyncio.run(again()).final_output == "end"
    assert asyncio.run(again()).final_output == "end"
    assert ledger.counts() == {"a": 1, "b": 1}
    assert {row.decided_by for row in runtime.interrupts(status=None)} == {"RunState"}


def test_a_state_does_not_open_what_a_policy_gates(runtime: Runtime, ledger: Ledger) -> None:
    runtime.policies.update(GATED)
    durable = durable_agent(two(ledger), runtime, name="app")
    state = go(durable).to_state()
    for item in state.get_interruptions():
        state.approve(item)
    with pytest.raises(ExecutionSuspended):
        go(durable, state, None)
    assert ledger.counts() == {}
    assert len(runtime.interrupts()) == 2


def paying(ledger: Ledger, *, strict: bool, **options: Any) -> Any:
    @function_tool(strict_mode=strict, **options)
    def pay(amount: int, currency: str = "EUR", note: str | None = None) -> str:
        """Pay."""
        return ledger.did(f"{amount} {currency} {note}")

    return agent("app", Model([call("pay", "c1", amount=3)], "end"), pay)


@pytest.mark.parametrize("native", [True, False], ids=["needs_approval", "policy"])
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "loose"])
def test_who_approves_sees_the_defaults_that_the_call_leaves_out(
    runtime: Runtime, ledger: Ledger, native: bool, strict: bool
) -> None:
    rule = Approval(when="currency == 'EUR' && amount >= 3")
    runtime.policies.update({} if native else {"pay": ToolPolicy(approval=rule)})
    durable = durable_agent(paying(ledger, strict=strict, needs_approval=native), runtime, name="app")
    result = go(durable)
    [row] = runtime.interrupts()
    assert row.arguments == {"amount": 3, "currency": "EUR", "note": None}
    if native:  # the SDK's own way, which knows nothing of defaults
        state = result.to_state()
        state.approve(state.get_interruptions()[0])
        assert asyncio.run(durable.run(state)).final_output == "end"
        assert ledger.counts() == {"3 EUR None": 1}
    else:
        runtime.decide(row.id, Decision.edit({"amount": 3, "currency": "USD", "note": "n"}), by="alice")
        assert go(durable).final_output == "end"
        assert ledger.counts() == {"3 USD n": 1}


def test_a_default_that_has_changed_since_is_asked_about_again(runtime: Runtime, ledger: Ledger) -> None:
    def app(currency: str) -> Any:
        @function_tool(strict_mode=False, needs_approval=True)
        def pay(amount: int, currency: str = currency) -> str:
            """Pay."""
            return ledger.did(f"{amount} {currency}")

        return durable_agent(agent("app", Model([call("pay", "c1", amount=3)], "end"), pay), runtime, name="app")

    go(app("EUR"))
    [row] = runtime.interrupts()
    runtime.decide(row.id, Decision.approve(), by="alice")
    assert len(go(app("USD")).interruptions) == 1
    [row] = runtime.interrupts()
    assert (row.arguments["currency"], ledger.counts()) == ("USD", {})


def test_the_fail_closed_check_of_callable_needs_approval_survives(runtime: Runtime, ledger: Ledger) -> None:
    """Arguments that the policy could not see as they will be used need a person, whatever the policy says."""
    asked = []

    async def never(_context: RunContextWrapper[Any], arguments: dict[str, Any], _call_id: str) -> bool:
        asked.append(arguments)
        return False

    turns = [[call("act", "c1", what="a"), call("act", "c2", what=5)], "end"]
    durable = durable_agent(agent("app", Model(*turns), acting(ledger, needs_approval=never)), runtime, name="app")
    assert [item.call_id for item in go(durable).interruptions] == ["c2"]
    assert (asked, ledger.counts()) == ([{"what": "a"}], {"a": 1})


def test_a_tool_that_was_renamed_meanwhile_is_drift(runtime: Runtime, ledger: Ledger) -> None:
    go(durable_agent(two(ledger, needs_approval=True), runtime, name="app"))
    turns = [[call("act", "c1", what="a"), call("act", "c2", what="b")], "end"]
    renamed = durable_agent(agent("app", Model(*turns), acting(ledger, name="do")), runtime, name="app")
    with pytest.raises(ExecutionSuspended):
        go(renamed)
    [row] = [row for row in runtime.interrupts() if row.kind == "drift"]
    assert (row.subject["recorded"], row.subject["now"]) == ({"called": ["act"]}, {"offered": ["do"]})
    durable = durable_agent(two(ledger, needs_approval=True), runtime, name="app")
    assert len(go(durable).interruptions) == 2
    assert [row.kind for row in runtime.interrupts()] == ["approval", "approval"]


def test_a_worker_stops_at_what_it_cannot_rebuild(runtime: Runtime, ledger: Ledger) -> None:
    class Local:
        """Something of this process."""

    durable = durable_agent(two(ledger, needs_approval=True), runtime, name="app")
    asyncio.run(durable.run("go", execution_id="x", context=Local()))
    for row in runtime.interrupts():
        runtime.decide(row.id, Decision.approve(), by="alice")
    assert [found.status for found in runtime.recover()] == ["suspended"]
    [row] = runtime.interrupts()
    assert (row.kind, "Local" in row.subject["recorded"]["context"], ledger.counts()) == ("drift", True, {})
    assert asyncio.run(durable.run("go", execution_id="x", context=Local())).final_output == "end"


def test_what_cannot_be_made_durable_is_refused_by_name(runtime: Runtime) -> None:
    codex = codex_tool()
    with pytest.raises(Unsupported, match="Codex tool 'codex'"):
        durable_agent(agent("app", Model("end"), codex), runtime)
    with pytest.raises(Unsupported, match="Codex tool"):  # reached by a handoff only
        durable_agent(agent("app", Model("end"), handoffs=[agent("inner", Model("end"), codex)]), runtime)
    with pytest.raises(Unsupported, match="'boxed' is a SandboxAgent"):
        durable_agent(SandboxAgent(name="boxed"), runtime)
    with pytest.raises(Unsupported, match="RealtimeAgent: realtime"):
        durable_agent(RealtimeAgent(name="app"), runtime)  # type: ignore[arg-type]
    with pytest.raises(InvalidConfiguration, match="needs an agents.Agent"):
        durable_agent("no agent", runtime)  # type: ignore[arg-type]
