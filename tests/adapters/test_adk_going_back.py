"""Going back in a session (``rewind_async``, fork): what happened beyond is never repeated silently."""

from __future__ import annotations

import asyncio

import pytest
from google.adk.agents import LlmAgent

from durable import Decision, Runtime, tool
from durable.adapters.google_adk import durable_runner
from durable.record.prefix import clean_points
from tests.adapters.adk_world import USER, Script, call, final, run, session_of, text, told


def paying(runtime, ledger):
    """An agent that pays 10 and says so."""

    @tool
    def pay(amount: int) -> str:
        return ledger.did(f"pay {amount}")

    turns = [[call("pay", amount=10)], [text("paid")]]
    agent = LlmAgent(name="clerk", model=Script(turns=turns), tools=[pay])
    return durable_runner(agent, runtime, name="paying")


@pytest.fixture
def runner(runtime, ledger):
    return paying(runtime, ledger)


def rewind(runner, before):
    asyncio.run(runner.rewind_async(user_id=USER, session_id="s", rewind_before_invocation_id=before))


def only(runtime):
    (asked,) = runtime.interrupts()
    return asked


def test_a_payment_that_was_taken_back_is_asked_about(runtime, runner, ledger):
    run(runner, execution_id="first")
    rewind(runner, "first")
    run(runner)
    asked = only(runtime)
    assert (asked.kind, asked.tool, ledger.counts()) == ("repeat", "pay", {"pay 10": 1})
    runtime.decide(asked.id, Decision.reuse(), by="ann")
    (result,) = runtime.recover()
    assert (result.output, ledger.counts()) == ("paid", {"pay 10": 1})


def test_a_worker_asks_too(runtime, runner, ledger):
    run(runner, execution_id="first")
    rewind(runner, "first")
    runtime.start("paying", {"user_id": USER, "session_id": "s", "message": "go"})
    runtime.recover()
    assert (only(runtime).kind, ledger.counts()) == ("repeat", {"pay 10": 1})


def test_what_was_asked_about_once_is_not_asked_about_in_the_next_turn(runtime, runner, ledger):
    run(runner, execution_id="first")
    rewind(runner, "first")
    run(runner)
    runtime.decide(only(runtime).id, Decision.again(), by="ann")
    runtime.recover()
    run(runner)
    assert (runtime.interrupts(), ledger.counts()) == ([], {"pay 10": 3})


def test_turn_after_turn_nothing_is_asked(runtime, runner, ledger):
    run(runner)
    run(runner)
    assert (runtime.interrupts(), ledger.counts()) == ([], {"pay 10": 2})


def test_every_clean_point_of_an_invocation_can_be_forked(runtime, runner, ledger, sqlite_url):
    assert final(run(runner, execution_id="old")) == "paid"
    old = runtime.get("old")
    with Runtime(sqlite_url, on_repeat="reuse") as other:
        again = paying(other, ledger)
        forks = {at: other.get("old").fork(at=at) for at in clean_points(old.history())}
        other.recover()
        assert len(forks) > 5
        assert {fork.result() for fork in forks.values()} == {"paid"}
        last = max(record.seq for record in old.history() if record.kind == "step_done")  # of the model, the answer
        before = [fork.id for at, fork in forks.items() if at < last]
        assert {tuple(told(session_of(again, name))) for name in before} == {tuple(told(session_of(runner)))}
    assert ledger.counts() == {"pay 10": 1}
