"""Attempts: how often, how long apart, how long each; counted in the journal, so a crash does not start the count again."""

from __future__ import annotations

import threading

import pytest

from durable import Decision, Retry, current, step, tool
from durable.errors import StepAborted, StepTimeout
from tests.world import HOUR, crashed, intact, kinds

QUICK = Retry(attempts=3, initial=0.01, factor=1)


class Overloaded(Exception):
    def __init__(self, seconds):
        super().__init__("later")
        self.retry_after = seconds


def failing(world, flavour, *errors, **policy):
    """A function with one tool that raises these errors, one an attempt, and then returns how often it ran."""

    def define(runtime):
        def act():
            world.did(current().attempt)
            if len(world.effects) <= len(errors):
                raise errors[len(world.effects) - 1]
            return len(world.effects)

        acting = tool(**{"effect": "idempotent", "retry": QUICK, **policy})(flavour.fn(act))

        def app():
            return (yield acting)

        flavour.app(runtime, "app", app)
        return runtime

    return define


@pytest.mark.parametrize("effect", ["read", "idempotent", "once"])
def test_a_failed_attempt_is_followed_by_another(world, flavour, effect):
    define = failing(world, flavour, ValueError("a"), ValueError("b"), effect=effect)
    runtime = define(world.process())
    assert runtime.run("app", id="a").output == 3
    assert world.effects == [1, 2, 3]
    assert kinds(runtime.get("a")).count("step_retry") == 2
    assert kinds(runtime.get("a")).count("step_started") == (3 if effect == "once" else 0)
    intact(runtime.get("a"))


def test_the_last_attempt_that_fails_is_final(world, flavour):
    runtime = failing(world, flavour, *[ValueError(str(n)) for n in range(5)])(world.process())
    assert runtime.run("app", id="a").error == {"type": "ValueError", "message": "2"}
    assert world.effects == [1, 2, 3]


def test_an_error_that_is_not_worth_it_is_final_at_once(world, flavour):
    retry = Retry(attempts=3, initial=0.01, never=(KeyError,))
    runtime = failing(world, flavour, KeyError("x"), retry=retry)(world.process())
    assert runtime.run("app", id="a").status == "failed"
    assert world.effects == [1]


def test_the_count_goes_on_in_the_next_process(world, flavour):
    def define(runtime):
        def act():
            world.did(current().attempt)
            if len(world.effects) == 2:
                world.die()
            raise ValueError("no")

        acting = tool(effect="idempotent", retry=QUICK)(flavour.fn(act))

        def app():
            return (yield acting)

        flavour.app(runtime, "app", app)
        return runtime

    crashed(lambda: define(world.process()).run("app", id="a"))
    assert define(world.process(later=60)).run("app", id="a").status == "failed"
    assert world.effects == [1, 2, 2, 3]


def test_a_long_wait_lets_go_of_the_worker_until_its_time(world, flavour):
    define = failing(world, flavour, Overloaded(HOUR))
    first = define(world.process())
    assert first.run("app", id="a").status == "suspended"
    execution = first.get("a").execution()
    assert execution.lease_owner is None
    assert execution.run_after == pytest.approx(execution.started_at + HOUR, abs=5)
    assert define(world.process(later=HOUR / 2)).recover() == []
    assert define(world.process(later=HOUR / 2 + 1)).recover()[0].output == 2


def test_a_call_before_the_time_of_a_long_wait_does_not_run_it(world, flavour):
    runtime = failing(world, flavour, Overloaded(HOUR))(world.process())
    for _ in range(3):
        assert runtime.run("app", id="a").status == "suspended"
    assert world.effects == [1]


def test_what_waits_for_its_next_attempt_is_not_started_and_so_never_in_doubt(world, flavour):
    """A once call whose process dies while it waits for the second attempt."""
    from durable.live.clock import Clock

    class Deadly(Clock):
        def sleep(self, seconds):
            world.die()

        async def sleep_async(self, seconds):
            world.die()

    define = failing(world, flavour, ValueError("no"), effect="once", retry=Retry(attempts=3, initial=2.0))
    crashed(lambda: define(world.process(clock=Deadly())).run("app", id="a"))
    result = define(world.process(later=60)).run("app", id="a")
    assert (result.interrupts, result.output) == ([], 2)


def slow(world, flavour, gate, **policy):
    def define(runtime):
        if flavour.is_async:
            import asyncio

            async def act():
                world.did("begun")
                await asyncio.sleep(30)
                world.did("ended")
        else:

            def act():
                world.did("begun")
                if not gate.wait(30):
                    world.did("ended")

        acting = tool(timeout=0.1, **policy)(act)

        def app():
            try:
                return (yield acting)
            except StepTimeout as exc:
                return str(exc)

        flavour.app(runtime, "app", app)
        return runtime

    return define


@pytest.fixture
def gate():
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("effect", ["read", "idempotent"])
def test_a_timeout_of_a_repeatable_call_is_recorded_and_raised(world, flavour, gate, effect):
    runtime = slow(world, flavour, gate, effect=effect)(world.process())
    assert "did not end within 0.1 s" in runtime.run("app", id="a").output
    assert runtime.run("app", id="a").output
    assert world.effects == ["begun"]
    failed = next(record for record in runtime.get("a").history() if record.kind == "step_failed")
    assert failed.payload["timeout"] == 0.1


def test_a_timeout_of_a_repeatable_call_is_tried_again_if_there_are_retries(world, flavour, gate):
    runtime = slow(world, flavour, gate, effect="idempotent", retry=QUICK)(world.process())
    assert "did not end" in runtime.run("app", id="a").output
    assert world.effects == ["begun"] * 3


def test_a_timeout_of_a_once_call_leaves_its_outcome_unknown_and_asks(world, flavour, gate):
    runtime = slow(world, flavour, gate, retry=QUICK)(world.process())
    result = runtime.run("app", id="a")
    assert [interrupt.kind for interrupt in result.interrupts] == ["in_doubt"]
    assert world.effects == ["begun"]
    notes = [record.payload for record in runtime.get("a").history() if record.kind == "note"]
    assert notes[0]["event"] == "outcome_unknown"
    runtime.decide(result.interrupts[0].id, Decision.happened("it did"), by="alice")
    assert runtime.run("app", id="a").output == "it did"
    assert world.effects == ["begun"]


def test_a_timeout_of_a_once_call_is_reconciled_before_anybody_is_asked(world, flavour, gate):
    from durable import Done

    runtime = slow(world, flavour, gate, reconcile=lambda _key, _arguments: Done("found"))(world.process())
    assert runtime.run("app", id="a").output == "found"


def test_a_timeout_error_of_the_tools_own_is_an_ordinary_failure(world, flavour):
    runtime = failing(world, flavour, TimeoutError("mine"), retry=None, effect="once", timeout=30)(world.process())
    error = runtime.run("app", id="a").error
    assert (error["type"], error["message"]) == ("TimeoutError", "mine")


def test_a_call_within_its_time_returns_as_usual_and_sees_its_deadline(runtime, flavour):
    def act():
        return current().deadline_at is not None

    acting = tool(effect="read", timeout=30)(flavour.fn(act))

    def app():
        return (yield acting)

    flavour.app(runtime, "app", app)
    assert runtime.run("app", id="a").output is True


def test_system_exit_in_a_repeatable_call_is_a_failure_with_a_remedy(runtime, flavour):
    def act():
        raise SystemExit(3)

    acting = tool(effect="read")(flavour.fn(act))

    def app():
        return (yield acting)

    flavour.app(runtime, "app", app)
    result = runtime.run("app", id="a")
    assert result.error["type"] == StepAborted.__name__
    assert "raise an Exception instead" in result.error["message"]


def test_a_retry_of_the_execution_runs_what_failed_and_what_it_failed_in_and_nothing_else(world, runtime):
    def inner():
        world.did("inner")
        if world.effects.count("inner") == 1:
            raise ValueError("no")
        return "ok"

    def before():
        return world.did("before")

    def outer():
        step(before)
        return step(inner)

    def first():
        return world.did("first")

    @runtime.function("app")
    def app():
        step(first)
        return step(outer)

    assert runtime.run("app", id="a").status == "failed"
    assert runtime.get("a").history()[-1].payload["step"] == "outer#1/inner#1"
    runtime.get("a").retry()
    assert runtime.run("app", id="a").output == "ok"
    assert world.effects == ["first", "before", "inner", "inner"]


def test_a_retry_runs_the_step_that_failed_last_also_if_the_exception_is_always_the_same_object(world, runtime):
    broken = ValueError("no")

    def act(n):
        world.did(n)
        if len(world.effects) <= 2:
            raise broken
        return n

    @runtime.function("app")
    def app():
        try:
            step(act, 1)
        except ValueError:
            pass
        return step(act, 2)

    assert runtime.run("app", id="a").status == "failed"
    runtime.get("a").retry()
    assert runtime.run("app", id="a").output == 2
    assert world.effects == [1, 2, 2]
