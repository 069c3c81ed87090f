"""Plain ``Runner.run`` inside ``with runtime.execution(id)``: durable, after a crash as after an approval."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import Agent, Runner
from agents.extensions.experimental.codex import codex_tool

from durable import Decision, Runtime, ToolPolicy
from durable.adapters.openai_agents import durable_runs
from durable.errors import Unsupported
from tests.adapters.openai_world import Ledger, Model, acting, agent, call, killed

POLICIES = {"act": ToolPolicy(effect="idempotent")}


def writer(ledger: Ledger, **options: Any) -> Agent[Any]:
    return agent("app", Model([call("act", "c1", what="a")], "first", ledger=ledger), acting(ledger, **options))


def editor(ledger: Ledger) -> Agent[Any]:
    model = Model([call("act", "c1", what="b")], "second", ledger=ledger, name="editor")
    return agent("editor", model, acting(ledger))


async def both(runtime: Runtime, ledger: Ledger, way: str) -> list[Any]:
    """Two runs, one after the other, as plain code has them."""
    durable_runs(runtime)
    async with runtime.execution("x"):
        first = await Runner.run(writer(ledger), "go")
        if way == "run":
            second: Any = await Runner.run(editor(ledger), str(first.final_output))
        else:
            second = Runner.run_streamed(editor(ledger), str(first.final_output))
            async for _ in second.stream_events():
                pass
        return [first.final_output, second.final_output]


@pytest.mark.parametrize("way", ["run", "streamed"])
def test_a_process_killed_inside_is_followed_by_one_that_does_nothing_twice(
    sqlite_url: str, tmp_path: Any, way: str
) -> None:
    def life(die_at: str | None) -> list[Any]:
        with Runtime(sqlite_url, policies=POLICIES) as runtime:
            return asyncio.run(both(runtime, Ledger(tmp_path / "ledger", die_at), way))

    killed(lambda: life("b"))
    for _ in range(2):
        assert life(None) == ["first", "second"]
    once = {"model 0": 1, "a": 1, "model 1": 1, "editor 0": 1, "editor 1": 1}
    assert Ledger(tmp_path / "ledger").counts() == {**once, "b": 2}  # idempotent: sent again, under one key


def test_run_sync_in_plain_code_waits_for_the_inbox(sqlite_url: str, tmp_path: Any) -> None:
    ledger = Ledger(tmp_path / "ledger")
    asyncio.set_event_loop(loop := asyncio.new_event_loop())
    with Runtime(sqlite_url) as runtime:
        durable_runs(runtime)

        def block() -> Any:
            with runtime.execution("x"):
                return Runner.run_sync(writer(ledger, needs_approval=True), "go")

        assert [item.call_id for item in block().interruptions] == ["c1"]
        assert runtime.get("x").status == "suspended"
        [row] = runtime.interrupts()
        runtime.decide(row.id, Decision.approve(), by="alice")
        for _ in range(2):
            assert block().final_output == "first"
        assert runtime.get("x").status == "succeeded"
    assert ledger.counts() == {"model 0": 1, "a": 1, "model 1": 1}
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


def test_an_agent_that_cannot_be_recorded_is_refused_inside_and_left_alone_outside(sqlite_url: str) -> None:
    app = agent("app", Model("end"), codex_tool())

    async def inside(runtime: Runtime) -> None:
        async with runtime.execution("x"):
            await Runner.run(app, "go")

    with Runtime(sqlite_url) as runtime:
        durable_runs(runtime)
        with pytest.raises(Unsupported, match="Codex tool"):
            asyncio.run(inside(runtime))
    assert asyncio.run(Runner.run(app, "go")).final_output == "end"


@pytest.mark.parametrize("way", ["run", "streamed"])
def test_a_state_whose_decisions_nothing_would_record_is_refused(sqlite_url: str, tmp_path: Any, way: str) -> None:
    ledger = Ledger(tmp_path / "ledger")

    async def block(runtime: Runtime) -> None:
        app = writer(ledger, needs_approval=True)
        async with runtime.execution("x"):
            state = (await Runner.run(app, "go")).to_state()
            state.approve(state.get_interruptions()[0])
            if way == "run":
                await Runner.run(app, state)
            else:
                async for _ in Runner.run_streamed(app, state).stream_events():
                    pass

    with Runtime(sqlite_url) as runtime:
        durable_runs(runtime)
        with pytest.raises(Unsupported, match="a RunState with calls that wait for approval.*decide them in the inbox"):
            asyncio.run(block(runtime))
    assert ledger.counts() == {"model 0": 1}
