"""Async code: the event loop never waits for a commit, and nothing that waits takes the threads others need."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import event

from durable import Decision, Retry, ask, current, sleep, step, tool, wait_signal
from durable.checkpoint.database import JOURNAL_THREADS
from durable.errors import ExecutionConflict, ExecutionFailed, NoExecution
from tests.world import kinds


class Slow:
    """Commits that end only when the event loop has gone round ``rounds`` times meanwhile, or after ``patience`` seconds."""

    def __init__(self, runtime, *, rounds=20, patience=10.0):
        self.rounds, self.patience = rounds, patience
        self.round = threading.Condition()
        self.count = 0
        self.blocked = 0
        self.commits = 0
        event.listen(runtime.database.engine, "commit", self.commit)

    def commit(self, _connection):
        with self.round:
            self.commits += 1
            until = self.count + self.rounds
            if not self.round.wait_for(lambda: self.count >= until, self.patience):
                self.blocked += 1

    async def tick(self):
        while True:
            with self.round:
                self.count += 1
                self.round.notify_all()
            await asyncio.sleep(0)


async def beside(slow, awaitable):
    ticker = asyncio.ensure_future(slow.tick())
    try:
        return await awaitable
    finally:
        ticker.cancel()


CALLS = {
    "a step": lambda: step(_plain, 1),
    "a once tool": lambda: _once(1),
    "a step that fails": lambda: _caught(step(_broken)),
    "a step that is tried again": lambda: _caught(step.options(retry=Retry(2, initial=0.0))(_broken)),
    "a sleep": lambda: sleep(0),
    "a signal": lambda: wait_signal("there"),
    "a question": lambda: ask("go?"),
    "a gated tool": lambda: _gated(1),
}


async def _plain(n):
    return n


async def _broken():
    raise ValueError("no")


@tool
async def _once(n):
    return n


@tool(approval=True)
async def _gated(n):
    return n


async def _caught(awaitable):
    with pytest.raises(ValueError, match="no"):
        await awaitable


@pytest.mark.parametrize("what", CALLS)
def test_the_event_loop_goes_on_while_a_commit_is_slow(runtime, what):
    slow = Slow(runtime, rounds=0)

    @runtime.function("app")
    async def app():
        await beside(slow, CALLS[what]())

    runtime.start("app", id="a").signal("there", 1)
    slow.commits = 0
    result = run_slowly(runtime, slow)
    for interrupt in result.interrupts:
        answer = Decision.approve() if interrupt.kind == "approval" else Decision.respond("yes")
        runtime.decide(interrupt.id, answer, by="alice")
        result = run_slowly(runtime, slow)
    assert result.status == "succeeded", result
    assert slow.commits > 1
    assert slow.blocked == 0


def run_slowly(runtime, slow):
    """Commits are slow while the function runs, that is, while there is an event loop."""
    app = runtime.app("app")
    original = app.run

    async def run(segment):
        slow.rounds = 20
        try:
            return await original(segment)
        finally:
            slow.rounds = 0

    object.__setattr__(app, "run", run)
    try:
        return runtime.run("app", id="a")
    finally:
        object.__setattr__(app, "run", original)


def test_the_probe_notices_an_event_loop_that_waits(runtime):
    """The negative control: a plain step in async code commits on the loop's own thread."""
    slow = Slow(runtime, patience=0.2, rounds=0)

    @runtime.function("app")
    async def app():
        async def plain():
            await asyncio.sleep(0)
            return step(int, 1)

        await beside(slow, plain())

    assert run_slowly(runtime, slow).status == "succeeded"
    assert slow.blocked > 0


async def test_every_method_has_its_awaitable(runtime):
    @runtime.function("app")
    async def app(n):
        return [n, await ask("go?")]

    aio = runtime.aio
    handle = await aio.start("app", {"n": 1}, id="a")
    result = await aio.run("app", {"n": 1}, id="a")
    (question,) = result.interrupts
    assert (await aio.interrupts())[0].id == question.id
    assert await aio.decide(question.id, Decision.respond(2), by="alice")
    (ended,) = await aio.recover()
    assert ended.output == await handle == [1, 2]
    assert [execution.id for execution in await aio.executions()] == ["a"]
    assert (await aio.get("a")).id == "a"
    with pytest.raises(ExecutionConflict):
        await aio.start("app", {"n": 2}, id="a")


async def test_awaiting_a_handle_raises_what_result_raises(runtime):
    @runtime.function("app")
    async def app():
        raise ValueError("no")

    await runtime.aio.run("app", id="a")
    with pytest.raises(ExecutionFailed, match="ValueError: no"):
        await runtime.get("a")


async def test_more_executions_side_by_side_than_the_journal_has_threads(runtime):
    @runtime.function("app")
    async def app(n):
        return await step(_plain, n)

    count = JOURNAL_THREADS + 8
    async with asyncio.timeout(60):
        results = await asyncio.gather(*(runtime.aio.run("app", {"n": n}) for n in range(count)))
    assert [result.output for result in results] == list(range(count))


async def test_more_handles_awaited_than_the_journal_has_threads(runtime):
    @runtime.function("app")
    async def app(n):
        return await step(_plain, n)

    count = JOURNAL_THREADS + 8
    handles = [await runtime.aio.start("app", {"n": n}) for n in range(count)]
    waiting = [asyncio.ensure_future(handle._ended()) for handle in handles]
    async with asyncio.timeout(60):
        await runtime.aio.recover()
        assert await asyncio.gather(*waiting) == list(range(count))


async def test_an_async_function_runs_also_where_an_event_loop_runs_already(runtime):
    @runtime.function("app")
    async def app(n):
        await asyncio.sleep(0)
        return [await step(_plain, n), current().execution_id]

    assert runtime.run("app", {"n": 1}, id="a").output == [1, "a"]


async def test_outside_of_an_execution_the_call_itself_is_refused():
    with pytest.raises(NoExecution):
        ask("go?")
    with pytest.raises(NoExecution):
        step(_plain, 1)


def test_a_user_timeout_around_a_step_cuts_it_and_leaves_a_once_call_in_doubt(runtime, world):
    @tool
    async def slow():
        world.did("begun")
        await asyncio.sleep(30)

    @runtime.function("app")
    async def app():
        try:
            async with asyncio.timeout(0.1):
                await slow()
        except TimeoutError:
            return "gave up"

    assert runtime.run("app", id="a").output == "gave up"
    assert world.effects == ["begun"]
    assert kinds(runtime.get("a")) == ["started", "claimed", "step_started", "succeeded"]


def test_a_call_that_is_cancelled_before_its_body_began_is_not_in_doubt(world):
    def define(runtime):
        begin = threading.Event()

        @tool
        async def act():
            return world.did("ran")

        @runtime.function("app")
        async def app():
            if len(world.alive) == 1:
                held = hold(runtime, begin)
                task = asyncio.ensure_future(act())
                await held
                task.cancel()
                begin.set()
                with pytest.raises(asyncio.CancelledError):
                    await task
                world.die()
            return await act()

        return runtime

    def hold(runtime, begin):
        """The next commit waits until the call was cancelled; the future says that it is there."""
        loop = asyncio.get_running_loop()
        there = loop.create_future()

        def commit(_connection):
            if not there.done():
                loop.call_soon_threadsafe(there.set_result, None)
                begin.wait(20)

        event.listen(runtime.database.engine, "commit", commit)
        return there

    from tests.world import crashed

    crashed(lambda: define(world.process()).run("app", id="a"))
    result = define(world.process(later=60)).run("app", id="a")
    assert (result.interrupts, result.output) == ([], "ran")
    assert world.effects == ["ran"]
