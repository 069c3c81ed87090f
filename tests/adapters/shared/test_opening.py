"""Which execution a call belongs to, and what becomes of it when its caller goes away: alike on three frameworks."""

from __future__ import annotations

import asyncio
import threading

import pytest

from durable import Runtime
from durable.errors import ExecutionCancelled, ExecutionFailed, ExecutionNotFound, InvalidConfiguration, ThreadBusy
from durable.testing import APP
from tests.adapters.shared.agents import ASYNC, FLAVOURS
from tests.templates import migrated_postgres_url, migrated_sqlite_url, migrated_url, postgres_template, sqlite_template

__all__ = ["migrated_postgres_url", "migrated_sqlite_url", "migrated_url", "postgres_template", "sqlite_template"]

PAID = {"pay A": 1}


@pytest.fixture
def runtime(migrated_url):
    with Runtime(migrated_url) as runtime:
        yield runtime


@pytest.fixture(params=FLAVOURS)
def agent(request, ledger, runtime):
    return FLAVOURS[request.param](ledger, runtime)


def enqueued(agent, runtime, execution_id="A", **options):
    """An execution of the agent that no worker has come to yet."""
    return runtime.start(APP, agent.input("go"), id=execution_id, thread=agent.thread, **options)


def test_a_named_call_is_never_answered_by_another_execution_of_its_thread(agent, runtime, ledger):
    enqueued(agent, runtime)
    for _ in range(2):
        with pytest.raises(ThreadBusy, match="'A'"):
            agent.run(execution_id="B")
    assert (ledger.counts(), runtime.get("A").status) == ({}, "pending")
    with pytest.raises(ExecutionNotFound):
        runtime.get("B")
    runtime.recover()
    assert (ledger.counts(), runtime.get("A").status) == (PAID, "succeeded")


def test_a_named_call_that_is_repeated_pays_once(agent, runtime, ledger):
    for _ in range(2):
        agent.run(execution_id="B")
    assert ledger.counts() == PAID
    assert [execution.id for execution in runtime.executions()] == ["B"]


def test_a_named_call_goes_on_with_the_execution_of_its_name(agent, runtime, ledger):
    enqueued(agent, runtime)
    agent.run(execution_id="A")
    assert (ledger.counts(), runtime.get("A").status) == (PAID, "succeeded")


def test_an_unnamed_call_goes_on_with_what_was_left_of_the_same_call(agent, runtime, ledger):
    enqueued(agent, runtime)
    agent.run()
    assert (ledger.counts(), runtime.get("A").status) == (PAID, "succeeded")
    assert len(runtime.executions()) == 1


def test_an_unnamed_call_with_another_input_is_refused_while_something_is_left(agent, runtime, ledger):
    enqueued(agent, runtime)
    with pytest.raises(ThreadBusy, match="'A'"):
        agent.run("something else")
    assert ledger.counts() == {}


def test_a_caller_who_leaves_a_stream_lets_the_execution_go_and_may_come_back(agent, runtime, ledger):
    agent.leave(execution_id="A")
    assert (ledger.counts(), runtime.get("A").status) == (PAID, "suspended")
    agent.run(execution_id="A")
    assert (ledger.counts(), runtime.get("A").status) == (PAID, "succeeded")


def test_a_call_of_an_execution_that_is_to_be_cancelled_runs_nothing(agent, runtime, ledger):
    enqueued(agent, runtime).cancel("no longer needed")
    with pytest.raises(ExecutionCancelled, match="no longer needed"):
        agent.run(execution_id="A")
    assert ledger.counts() == {}


def test_a_call_after_its_deadline_runs_nothing(agent, runtime, ledger):
    enqueued(agent, runtime, deadline=0.0)
    with pytest.raises(ExecutionFailed, match="deadline"):
        agent.run(execution_id="A")
    assert (ledger.counts(), runtime.get("A").status) == ({}, "failed")


@pytest.mark.parametrize("flavour", ASYNC)
async def test_a_caller_who_is_cancelled_while_it_is_opened_gives_the_execution_back(flavour, runtime, ledger):
    agent = ASYNC[flavour](ledger, runtime)
    begun, cancelled, start = threading.Event(), threading.Event(), runtime.start

    def slowly(*args, **options):
        handle = start(*args, **options)
        begun.set()
        assert cancelled.wait(30)
        return handle

    runtime.start = slowly
    running = asyncio.ensure_future(agent.arun(execution_id="A"))
    await asyncio.to_thread(begun.wait, 30)
    running.cancel()
    asyncio.get_running_loop().call_soon(cancelled.set)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (runtime.get("A").status, ledger.counts()) == ("pending", {})


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_new_input_does_to_an_execution_that_waits_is_named_or_refused(flavour, runtime, ledger):
    with pytest.raises(InvalidConfiguration, match="on_suspended='drop'"):
        FLAVOURS[flavour](ledger, runtime, on_suspended="drop")
