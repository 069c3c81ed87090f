"""Branches that run side by side replay right, in whatever order they come by; one that waits does not hold up the others."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from durable import Decision, ask, current, step, tool, wait_signal
from tests.world import crashed, intact, until


def done_of(handle, name):
    return {r.step_key: r.value() for r in handle.history() if r.kind == "step_done" and r.payload["name"] == name}


@pytest.mark.parametrize("finished_first", [0, 1, 2])
@pytest.mark.parametrize("returns_first", [0, 1, 2])
def test_branches_of_which_only_some_were_recorded_come_back_in_any_order(world, finished_first, returns_first):
    def define(runtime, first):
        dead = asyncio.Event()

        @tool(effect="read")
        async def look(n):
            world.did(n)
            if len(world.alive) == 1 and n != first:
                await dead.wait()
            return f"seen {n}"

        async def branch(n, order):
            for _ in range(order):
                await asyncio.sleep(0)
            return await look(n)

        @runtime.function("app")
        async def app():
            branches = [asyncio.ensure_future(branch(n, 0 if n == first else 5)) for n in range(3)]
            if len(world.alive) == 1:
                await branches[first]
                dead.set()
                world.die()
            return await asyncio.gather(*branches)

        return runtime

    crashed(lambda: define(world.process(), finished_first).run("app", id="a"))
    again = define(world.process(later=60), returns_first)
    result = again.run("app", id="a")
    assert result.interrupts == []
    assert result.output == ["seen 0", "seen 1", "seen 2"]
    assert world.effects.count(finished_first) == 1
    assert len(done_of(again.get("a"), "look")) == 3
    intact(again.get("a"))


def test_equal_calls_side_by_side_get_back_their_own_results(world):
    """n is given when the call is made: thread timing may not swap two records."""

    def define(runtime):
        drawn = iter(range(100))

        @tool(effect="read")
        async def draw():
            return [len(world.alive), next(drawn)]

        @runtime.function("app")
        async def app():
            found = await asyncio.gather(*(draw() for _ in range(20)))
            await wait_signal("go")
            return found

        return runtime

    first = define(world.process())
    first.run("app", id="a")
    recorded = done_of(first.get("a"), "draw")
    for _ in range(3):
        again = define(world.process())
        again.run("app", id="a")
    again.get("a").signal("go")
    assert again.run("app", id="a").output == [recorded[f"draw#{n}"] for n in range(1, 21)]


def test_idempotency_keys_of_branches_are_the_same_on_every_attempt(world):
    keys = [{}, {}]

    def define(runtime):
        arrived = []

        @tool(effect="idempotent")
        async def send(n):
            keys[len(world.alive) - 1][n] = current().idempotency_key
            arrived.append(n)
            if len(world.alive) == 1:
                while len(arrived) < 12:
                    await asyncio.sleep(0)
                world.die()
            return n

        @runtime.function("app")
        async def app():
            return await asyncio.gather(*(send(n) for n in range(12)))

        return runtime

    crashed(lambda: define(world.process()).run("app", id="a"))
    assert define(world.process(later=60)).run("app", id="a").output == list(range(12))
    assert len(set(keys[0].values())) == 12
    assert keys[0] == keys[1]


def test_branches_in_threads_share_one_journal(world, runtime):
    barrier = threading.Barrier(6)

    def look(n):
        barrier.wait(20)
        return n * n

    @runtime.function("app")
    def app():
        with ThreadPoolExecutor(6) as pool:
            futures = [pool.submit(copy_context().run, step, look, n) for n in range(6)]
            return [future.result() for future in futures]

    assert runtime.run("app", id="a").output == [0, 1, 4, 9, 16, 25]
    intact(runtime.get("a"))


@pytest.mark.parametrize("together", ["gather", "group"])
def test_a_branch_that_waits_does_not_stop_what_runs_beside_it(world, together):
    def define(runtime):
        async def work(n):
            return world.did(n)

        async def chain():
            return [await step(work, n) for n in range(5)]

        @runtime.function("app")
        async def app():
            if together == "gather":
                return await asyncio.gather(ask("go?"), chain())
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask("go?")), group.create_task(chain())]
            return [task.result() for task in tasks]

        return runtime

    runtime = define(world.process())
    result = runtime.run("app", id="a")
    assert result.status == "suspended", result.error
    assert [interrupt.kind for interrupt in result.interrupts] == ["question"]
    if together == "gather":
        assert world.effects == [0, 1, 2, 3, 4]
    runtime.decide(result.interrupts[0].id, Decision.respond("yes"), by="alice")
    assert runtime.run("app", id="a").output == ["yes", [0, 1, 2, 3, 4]]
    assert world.effects == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("together", ["gather", "group"])
def test_gated_calls_side_by_side_are_all_asked_and_run_in_the_order_of_their_decisions(world, together):
    def define(runtime):
        @tool(approval=True)
        async def pay(n):
            return world.did(n)

        @runtime.function("app")
        async def app():
            if together == "gather":
                return await asyncio.gather(*(pay(n) for n in range(3)))
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(pay(n)) for n in range(3)]
            return [task.result() for task in tasks]

        return runtime

    runtime = define(world.process())
    result = runtime.run("app", id="a")
    if together == "gather":
        assert sorted(interrupt.arguments["n"] for interrupt in result.interrupts) == [0, 1, 2]
    decided = []
    while result.status == "suspended":
        assert [interrupt.kind for interrupt in result.interrupts] == ["approval"] * len(result.interrupts)
        last = max(result.interrupts, key=lambda interrupt: interrupt.arguments["n"])
        decided.append(last.arguments["n"])
        runtime.decide(last.id, Decision.approve(), by="alice")
        result = runtime.run("app", id="a")
    assert result.output == [0, 1, 2], result.error
    assert sorted(world.effects) == [0, 1, 2]
    if together == "gather":
        assert world.effects == [2, 1, 0]


def test_an_effect_beside_a_branch_that_waits_is_not_cut_in_the_middle(world):
    """TaskGroup cancels the others when one leaves; an effect on its way is let to its end and recorded."""

    async def slow():
        world.did("begun")
        await asyncio.sleep(0.05)
        return world.did("ended")

    runtime = world.process()

    @runtime.function("app")
    async def app():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step(slow)), group.create_task(ask("go?"))]
        return [task.result() for task in tasks]

    result = runtime.run("app", id="a")
    assert [interrupt.kind for interrupt in result.interrupts] == ["question"]
    runtime.decide(result.interrupts[0].id, Decision.respond("yes"), by="alice")
    assert runtime.run("app", id="a").output == ["ended", "yes"]
    assert world.effects == ["begun", "ended"]


def test_a_failure_beside_a_branch_that_waits_fails_the_execution_by_its_own_name(world, runtime):
    @tool(effect="read")
    async def break_():
        raise ValueError("no")

    @runtime.function("app")
    async def app():
        async with asyncio.TaskGroup() as group:
            group.create_task(ask("go?"))
            group.create_task(break_())

    result = runtime.run("app", id="a")
    if result.status == "suspended":  # the question was faster and has cancelled the other
        runtime.decide(result.interrupts[0].id, Decision.respond("yes"), by="alice")
        result = runtime.run("app", id="a")
    assert (result.status, result.error) == ("failed", {"type": "ValueError", "message": "no"})
    assert runtime.interrupts() == []


def test_two_waits_for_a_signal_get_one_each_and_the_same_one_on_replay(world):
    def define(runtime):
        @runtime.function("app")
        async def app():
            both = await asyncio.gather(wait_signal("s"), wait_signal("s"))
            await ask("done?")
            return both

        return runtime

    runtime = define(world.process())
    runtime.run("app", id="a")
    for payload in (1, 2):
        runtime.get("a").signal("s", payload)
    result = runtime.run("app", id="a")
    assert [interrupt.kind for interrupt in result.interrupts] == ["question"], result
    taken = [(r.step_key, r.value()) for r in runtime.get("a").history() if r.kind == "signal"]
    assert sorted(value for _, value in taken) == [1, 2]
    again = define(world.process())
    again.decide(result.interrupts[0].id, Decision.respond(1), by="alice")
    assert again.run("app", id="a").output == [value for _, value in sorted(taken)]


def test_effects_still_on_their_way_when_the_function_returns_are_recorded(world, runtime):
    async def slow():
        await asyncio.sleep(0.05)
        return world.did("ended")

    @runtime.function("app")
    async def app():
        task = asyncio.ensure_future(step(slow))
        await asyncio.sleep(0.01)
        del task
        return "done"

    assert runtime.run("app", id="a").output == "done"
    until(lambda: world.effects == ["ended"])
    assert [r.kind for r in runtime.get("a").history()][-2:] == ["step_done", "succeeded"]
