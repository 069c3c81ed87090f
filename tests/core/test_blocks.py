"""``with runtime.execution(id)``: a plain piece of code, run again with the same id, does nothing twice."""

from __future__ import annotations

import asyncio
import os

import pytest

from durable import Decision, Runtime, ask, current, step
from durable.errors import (
    ExecutionBusy,
    ExecutionCancelled,
    ExecutionConflict,
    ExecutionFailed,
    ExecutionSuspended,
    InvalidConfiguration,
    Unsupported,
)


@pytest.fixture
def runtime(database_url):
    with Runtime(database_url, max_attempts=2) as runtime:
        yield runtime


class Outside:
    def __init__(self):
        self.did = []

    def act(self, what):
        self.did.append(what)
        return f"{what} done"


@pytest.fixture
def outside():
    return Outside()


def test_a_block_that_ended_is_read_again_and_runs_nothing(runtime, outside):
    for _ in range(2):
        with runtime.execution("x", input={"order": 1}) as execution:
            assert current().execution_id == execution.id == "x"
            assert step(outside.act, "a") == "a done"
        assert execution.status == "succeeded"
    assert outside.did == ["a"]
    with pytest.raises(ExecutionConflict), runtime.execution("x", input={"order": 2}):
        pass
    with pytest.raises(Unsupported, match="not in its record"), runtime.execution("x", input={"order": 1}):
        step(outside.act, "a")
        step(outside.act, "b")
    assert outside.did == ["a"]


def test_a_block_in_async_code_leaves_the_loop_free_and_its_branches_side_by_side(runtime, outside):
    async def act(what):
        await asyncio.sleep(0)
        return outside.act(what)

    async def block():
        async with runtime.execution("x"):
            return await asyncio.gather(step(act, "a"), step(act, "b"))

    for _ in range(2):
        assert asyncio.run(block()) == ["a done", "b done"]
    assert sorted(outside.did) == ["a", "b"]


@pytest.mark.parametrize("way", ["with", "async with"])
def test_a_block_that_waits_says_so_and_goes_on_when_it_is_run_again(runtime, outside, way):
    async def inside():
        step(outside.act, "a")
        return await ask("Which?")

    async def block():
        if way == "with":
            with runtime.execution("x"):
                return await inside()
        async with runtime.execution("x"):
            return await inside()

    with pytest.raises(ExecutionSuspended, match="int-"):
        asyncio.run(block())
    assert runtime.get("x").status == "suspended"
    [question] = runtime.interrupts()
    runtime.decide(question.id, Decision.respond("blue"), by="alice")
    assert runtime.recover() == []  # no worker knows the code of a block
    assert asyncio.run(block()) == "blue"
    assert outside.did == ["a"]
    assert runtime.get("x").status == "succeeded"


def test_a_block_that_failed_stays_failed(runtime, outside):
    def failing():
        with runtime.execution("x"):
            step(outside.act, "a")
            step(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        failing()
    with pytest.raises(ExecutionFailed, match="division by zero"):
        failing()
    assert runtime.get("x").status == "failed"
    with pytest.raises(ExecutionFailed, match="ZeroDivisionError"), runtime.execution("x"):
        pass
    assert outside.did == ["a"]


def test_a_block_is_one_process_at_a_time(runtime):
    with runtime.execution("x"), pytest.raises(ExecutionBusy), runtime.execution("x"):
        pass
    with pytest.raises(InvalidConfiguration, match="name of an app"):
        runtime.function("app")(len)
        runtime.execution("y", name="app")


def test_a_cancelled_block_is_not_entered_again(runtime, outside):
    with pytest.raises(ExecutionCancelled, match="enough"), runtime.execution("x") as execution:
        execution.cancel("enough")
        step(outside.act, "a")
    with pytest.raises(ExecutionCancelled, match="enough"), runtime.execution("x"):
        step(outside.act, "b")
    assert outside.did == []


def test_a_block_that_is_killed_each_time_is_given_up(database_url, runtime, outside):
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            with Runtime(database_url) as dying, dying.execution("x"):
                os._exit(9)
        os.waitpid(pid, 0)
    with pytest.raises(ExecutionFailed, match="crashed 2 times"), runtime.execution("x"):
        step(outside.act, "a")
    assert (runtime.get("x").status, outside.did) == ("dead", [])
