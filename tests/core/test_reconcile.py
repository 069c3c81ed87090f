"""A tool's own ``reconcile``: what it gets, how long it has, and what is shown where it gives no answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from durable import Decision, Done, NotDone, Retry, tool
from tests.world import World, crashed, intact, kinds

SECRET = "sk-reconcile-4711"


@pytest.fixture
def world(sqlite_url):
    """The database makes no difference here: both journals say the same."""
    made = World(sqlite_url)
    yield made
    made.close()


def doubtful(world, reconcile, *, is_async=False, later=60, secrets=None, **options):
    """An execution whose one call was cut off by a crash, on a new process that goes on with it."""

    def define(runtime):
        def pay(amount):
            world.did(f"paid {amount}")
            if len(world.effects) == 1:
                world.die()
            return "paid"

        async def pay_async(amount):
            return pay(amount)

        pay_async.__name__ = "pay"
        paying = tool(reconcile=reconcile, secrets=("KEY",), **options)(pay_async if is_async else pay)

        def app():
            return paying(5)

        async def app_async():
            return await paying(5)

        runtime.function("app")(app_async if is_async else app)
        return runtime

    crashed(lambda: define(world.process()).run("app", id="a"))
    return define(world.process(later=later, secrets={"KEY": SECRET}, dependencies={"bank": {"found": "receipt 7"}}))


class Asking:
    """A client whose method is the function."""

    def __call__(self, key, arguments, context):
        return look(key, arguments, context)


def look(key, arguments, context):
    assert (context.execution_id, context.step_key, context.attempt) == ("a", "pay#1", 1)
    assert context.idempotency_key == key
    assert context.secrets["KEY"] == SECRET
    assert context.deadline_at > 0
    assert arguments == {"amount": 5}
    context.log.info("looking with %s", context.secrets["KEY"])
    return Done([context.dependencies["bank"]["found"], f"with {context.secrets['KEY']}"])


async def look_async(key, arguments, context):
    await asyncio.sleep(0)
    return look(key, arguments, context)


@pytest.mark.parametrize(
    ("reconcile", "is_async"),
    [(look, True), (look_async, True), (look_async, False), (Asking(), False), (lambda *given: look(*given), False)],
)
def test_it_gets_the_context_if_it_takes_a_third_argument(world, reconcile, is_async):
    runtime = doubtful(world, reconcile, is_async=is_async, timeout=20)
    assert runtime.run("app", id="a").output == ["receipt 7", "with [redacted:KEY]"]
    assert world.effects == ["paid 5"]
    intact(runtime.get("a"))


async def test_it_may_be_async_where_a_sync_app_is_called_in_async_code(world):
    runtime = doubtful(world, look_async, timeout=20)
    assert runtime.run("app", id="a").output[0] == "receipt 7"


async def raising_async(_key, _arguments, context):
    raise ConnectionError(f"no route with {context.secrets['KEY']}")


def exiting(_key, _arguments):
    raise SystemExit(3)


def wrong(_key, _arguments):
    return True


def tired(_key, _arguments):
    threading.Event().wait(20)


async def tired_async(_key, _arguments):
    await asyncio.sleep(20)


@pytest.mark.parametrize(
    ("reconcile", "said"),
    [
        (raising_async, "reconcile raised ConnectionError: no route with [redacted:KEY]"),
        (exiting, "reconcile raised StepAborted: "),
        (wrong, "reconcile returned True in place of Done, NotDone or Unknown"),
        (tired, "reconcile raised StepTimeout: step pay#1 did not end within 0.2 s"),
        (tired_async, "reconcile raised StepTimeout: step pay#1 did not end within 0.2 s"),
        (None, "nobody knows whether it happened"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_no_answer_is_an_interrupt_that_says_what_happened(world, reconcile, said):
    runtime = doubtful(world, reconcile, timeout=0.2)
    result = runtime.run("app", id="a")
    (doubt,) = result.interrupts
    assert (result.status, doubt.kind, doubt.tool) == ("suspended", "in_doubt", "pay")
    assert doubt.rule.startswith(said)
    (opened,) = [record for record in result.events if record.kind == "interrupt_opened"]
    assert opened.meta["because"].startswith(said)
    assert world.effects == ["paid 5"]
    assert runtime.run("app", id="a").interrupts == result.interrupts  # asked once
    runtime.decide(doubt.id, Decision.happened("seen"), by="alice")
    assert runtime.run("app", id="a").output == "seen"
    assert kinds(runtime.get("a")).count("interrupt_opened") == 1


def test_a_tool_that_it_calls_is_no_step(world):
    @tool(effect="read")
    def find(amount):
        return f"found {amount}"

    runtime = doubtful(world, lambda _key, arguments: Done(find(arguments["amount"])))
    assert runtime.run("app", id="a").output == "found 5"
    assert {record.step_key for record in runtime.get("a").history()} == {None, "pay#1"}


@pytest.mark.parametrize(("retry", "attempts"), [(None, 1), (Retry(attempts=3, initial=0.0), 3)])
def test_an_attempt_that_timed_out_and_did_not_happen_has_failed(world, retry, attempts):
    released = threading.Event()

    @tool(timeout=0.02, retry=retry, reconcile=lambda key, arguments: NotDone())
    def pay(amount):
        world.did("tried")
        released.wait()

    runtime = world.process()
    runtime.function("app")(lambda: pay(5))
    result = runtime.run("app", id="a")
    released.set()
    assert (result.status, result.error["type"]) == ("failed", "StepTimeout")
    assert world.effects == ["tried"] * attempts
    assert runtime.get("a").verify()
