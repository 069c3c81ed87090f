"""Dependencies: made once, closed once in reverse order, on the loop that uses them; a failure loses nothing."""

from __future__ import annotations

import asyncio
import functools
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest

from durable import Decision, Done, Runtime, ToolContext, Unsupported, ask, current, tool
from durable.errors import DependencyFailed, InvalidConfiguration
from durable.live.dependencies import Dependencies
from tests.world import World, crashed


@pytest.fixture
def world(sqlite_url):
    made = World(sqlite_url)
    yield made
    made.close()


class Pool:
    """Bound to the event loop on which it was made, as pools are."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()

    async def fetch(self):
        assert asyncio.get_running_loop() is self.loop
        return "fetched"


def using(runtime, *names):
    """An app whose one tool uses these."""

    @tool(effect="once")
    def use(context: ToolContext):
        return [context.dependencies[name] for name in names]

    @runtime.function("app")
    def app():
        return use()

    @tool(effect="once")
    async def fetch(context: ToolContext):
        return [await context.dependencies[name].fetch() for name in names]

    @runtime.function("async")
    async def app_async():
        return await fetch()

    return runtime


def made_and_closed(told, wrap, name):
    """A generator that tells when it is made, and when it is closed."""

    def make():
        told.append(f"make {name}")
        yield name
        told.append(f"close {name}")

    return wrap(make)


@pytest.mark.parametrize(
    "wrap", [lambda fn: fn, contextmanager, functools.partial], ids=["plain", "contextlib", "partial"]
)
def test_plain_factories_are_called_once_and_closed_in_reverse_order(world, wrap):
    told = []
    first, second = (made_and_closed(told, wrap, name) for name in ("first", "second"))
    given = {"first": first, "object": told, "second": second, "value": lambda: 7}
    runtime = using(world.process(dependencies=given), "first", "second", "value")
    assert told == []
    for number in range(3):
        assert runtime.run("app", id=str(number)).output == ["first", "second", 7]
    assert told == ["make first", "make second"]
    assert runtime.dependencies["object"] is told
    runtime.close()
    assert told == ["make first", "make second", "close second", "close first"]


def test_a_worker_makes_them_when_it_starts_and_before_it_claims(world):
    made = threading.Event()
    runtime = using(world.process(dependencies={"db": lambda: made.set() or "db"}), "db")
    worker = runtime.worker(poll=0.01)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert made.wait(20)
    worker.stop()
    thread.join(20)

    def broken():
        raise OSError("refused")

    other = using(world.process(dependencies={"db": broken}), "db")
    handle = other.start("app", id="a")
    with pytest.raises(DependencyFailed, match="'db' could not be made: OSError: refused"):
        other.worker().run()
    assert (handle.status, handle.execution().epoch) == ("pending", 0)


ASYNC = {"plain": lambda fn: fn, "contextlib": asynccontextmanager}


@pytest.mark.parametrize("wrap", ASYNC.values(), ids=ASYNC)
def test_async_factories_are_called_on_the_loop_of_the_tool_and_closed_with_it(world, wrap):
    told = []

    async def make():
        told.append("make")
        pool = Pool()
        yield pool
        assert asyncio.get_running_loop() is pool.loop
        await asyncio.sleep(0)
        told.append("close")

    async def second():
        return Pool()

    runtime = using(world.process(dependencies={"pool": wrap(make), "second": second}), "pool", "second")
    assert runtime.run("async", id="a").output == ["fetched", "fetched"]
    assert told == ["make", "close"]
    assert runtime.run("async", id="b").output == ["fetched", "fetched"]
    assert told == ["make", "close", "make", "close"]
    runtime.run("async", id="b")  # answered from the journal: nothing is made
    assert len(told) == 4


async def test_on_a_loop_of_the_users_they_are_made_once_and_closed_with_the_runtime(world):
    told = []

    async def make():
        told.append("make")
        yield Pool()
        told.append("close")

    runtime = world.process(dependencies={"pool": make})

    @tool(effect="read")
    async def fetch(context: ToolContext):
        return await context.dependencies["pool"].fetch()

    for number in range(2):
        async with runtime.execution(str(number)):
            assert await asyncio.gather(fetch(), fetch(), fetch()) == ["fetched"] * 3
    assert told == ["make"]
    await asyncio.to_thread(runtime.dependencies.close)
    assert told == ["make", "close"]
    async with runtime.execution("again"):
        assert await fetch() == "fetched"
    runtime.dependencies.close()  # on the loop itself: it closes as the loop goes on
    while told != ["make", "close"] * 2:
        await asyncio.sleep(0)


def test_an_async_one_in_a_sync_tool_is_refused_by_name(world):
    async def make():
        return Pool()

    runtime = using(world.process(dependencies={"pool": make}), "pool")
    error = runtime.run("app", id="a").error
    assert error["type"] == Unsupported.__name__
    assert "dependency 'pool' has an async factory" in error["message"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_factory_that_raises_loses_nothing(world, is_async):
    """The step is not on record, the execution waits with a note that names it, and goes on when it works."""
    works = threading.Event()

    def make():
        if not works.is_set():
            raise OSError("refused")
        return "db"

    async def make_async():
        make()
        return Pool()

    name = "async" if is_async else "app"
    runtime = using(world.process(dependencies={"db": make_async if is_async else make}), "db")
    for tries in (1, 2):
        result = runtime.run(name, id="a")
        assert (result.status, result.error) == ("suspended", None)
        notes = [record for record in result.events if record.meta.get("event") == "dependency_failed"]
        assert [round(note.meta["again_at"] - note.at) for note in notes] == [1, 2][:tries]
        assert notes[-1].meta["dependency"] == "db"
        assert "could not be made: OSError: refused" in notes[-1].meta["error"]
        assert "step_started" not in [record.kind for record in result.events]
    assert runtime.get("a").execution().run_after == pytest.approx(notes[1].meta["again_at"])
    works.set()
    assert runtime.run(name, id="a").output == (["fetched"] if is_async else ["db"])


def test_a_reconcile_function_has_them_on_its_own_loop(world):
    async def make():
        return Pool()

    async def look(_key, _arguments, context):
        return Done(await context.dependencies["pool"].fetch())

    def define(runtime):
        @tool(reconcile=look)
        async def act():
            world.die()

        @runtime.function("app")
        async def app():
            return await act()

        return runtime

    crashed(lambda: define(world.process()).run("app", id="a"))
    assert define(world.process(later=60, dependencies={"pool": make})).run("app", id="a").output == "fetched"


def test_outside_of_steps_plain_ones_are_there_too(world):
    runtime = world.process(dependencies={"db": lambda: "db"})

    @runtime.function("app")
    def app():
        return current().dependencies["db"], ask("go on?")

    (question,) = runtime.run("app", id="a").interrupts
    runtime.decide(question.id, Decision.respond(1), by="alice")
    assert runtime.run("app", id="a").output == ("db", 1)


def test_what_cannot_be_a_factory_is_refused(sqlite_url):
    with pytest.raises(InvalidConfiguration, match="dependency 'send'.*called without arguments.*'to'"):
        Runtime(sqlite_url, dependencies={"send": lambda to: to})
    given = Dependencies({"lock": threading.Lock, "loop": functools.partial(int, "7")})
    assert given["loop"] == 7
    with pytest.raises(KeyError):
        given["unknown"]
    assert "7" not in repr(given)


def test_a_plain_function_that_returns_a_coroutine_is_told_so():
    async def connect():
        raise AssertionError

    given = Dependencies({"db": lambda: connect()})
    with pytest.raises(DependencyFailed, match="make the factory itself an async function"):
        given.make()
