"""Going back with a RunState that was used, and by a fork: what happened beyond is never repeated silently."""

from __future__ import annotations

import asyncio

import pytest
from agents import RunConfig, Runner
from agents.run_state import RunState

from durable import Decision, Runtime
from durable.adapters.openai_agents import DurableSession, durable_agent
from durable.errors import ExecutionSuspended, Unsupported
from durable.record.prefix import clean_points
from tests.adapters.openai_world import Model, acting, agent, call


def clerk(ledger, **options):
    """An agent that acts once and says so."""
    return agent("clerk", Model([call("act", "one", what="pay")], "paid"), acting(ledger, **options))


def only(runtime, **filters):
    (asked,) = runtime.interrupts(**filters)
    return asked


async def waiting(ledger):
    """The JSON of a state of the bare SDK, approved."""
    bare = clerk(ledger, needs_approval=True)
    state = (await Runner.run(bare, "pay", run_config=RunConfig(tracing_disabled=True))).to_state()
    for item in state.get_interruptions():
        state.approve(item)
    return bare, state.to_json()


async def test_the_same_state_again_is_the_same_execution(runtime, ledger):
    bare, stored = await waiting(ledger)
    durable = durable_agent(bare, runtime, name="clerk")
    for _ in range(2):
        result = await durable.run(await RunState.from_json(bare, stored))
        assert result.final_output == "paid"
    assert ledger.counts() == {"pay": 1}


async def test_a_state_that_was_changed_since_it_was_used_is_still_of_that_execution(runtime, ledger):
    bare, stored = await waiting(ledger)
    durable = durable_agent(bare, runtime, name="clerk")
    first = await durable.run(await RunState.from_json(bare, stored))
    stored["max_turns"] = 99
    second = await durable.run(await RunState.from_json(bare, stored))
    assert (second.execution_id, second.final_output) == (first.execution_id, "paid")
    assert ledger.counts() == {"pay": 1}


async def test_a_state_of_another_app_is_asked_about(runtime, ledger):
    bare, stored = await waiting(ledger)
    await durable_agent(bare, runtime, name="first").run(await RunState.from_json(bare, stored))
    with pytest.raises(ExecutionSuspended, match="decide"):
        await durable_agent(bare, runtime, name="second").run(await RunState.from_json(bare, stored))
    asked = only(runtime)
    assert (asked.kind, ledger.counts()) == ("repeat", {"pay": 1})
    runtime.decide(asked.id, Decision.reuse(), by="ann")
    (result,) = await runtime.aio.recover()
    assert (result.output, ledger.counts()) == ("paid", {"pay": 1})


def test_every_clean_point_of_a_run_can_be_forked(runtime, ledger, sqlite_url):
    asyncio.run(durable_agent(clerk(ledger), runtime, name="clerk").run("pay", execution_id="old"))
    old = runtime.get("old")
    with Runtime(sqlite_url, on_repeat="reuse") as other:
        durable_agent(clerk(ledger), other, name="clerk")
        forks = [other.get("old").fork(at=at) for at in clean_points(old.history())]
        other.recover()
        assert len(forks) > 3
        assert {fork.result() for fork in forks} == {"paid"}
    assert ledger.counts() == {"pay": 1}


async def test_a_run_with_a_session_is_not_forked(runtime, ledger):
    session = DurableSession("s", runtime)
    await durable_agent(clerk(ledger), runtime, name="clerk").run("pay", execution_id="old", session=session)
    with pytest.raises(Unsupported, match="session 's'"):
        await runtime.get("old").aio.fork(at=1)
