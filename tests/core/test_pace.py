"""Rates, breakers and expired tokens: what cannot be called now is called later, holding no worker and losing no attempt."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from durable import Breaker, Decision, Rate, Retry, current, tool
from durable.errors import InvalidConfiguration, StepTimeout
from tests.world import HOUR, World, kinds


@pytest.fixture
def world(sqlite_url):
    made = World(sqlite_url)
    yield made
    made.close()


class Answered(Exception):
    """What an HTTP library raises for a status."""

    def __init__(self, status):
        super().__init__(f"status {status}")
        self.response = SimpleNamespace(status_code=status, headers={})


def calling(runtime, fn, **policy):
    @runtime.function("app")
    def app(amount):
        return tool(**policy)(fn)(amount)

    return runtime


def noted(runtime, execution_id):
    return [record.meta.get("event") for record in runtime.get(execution_id).history() if record.kind == "note"]


@pytest.mark.parametrize("effect", ["once", "idempotent", "read"])
def test_a_call_beyond_the_rate_lets_go_and_comes_back_as_its_first_attempt(world, effect):
    def pay(amount):
        return world.did((amount, current().attempt))

    policy = {"effect": effect, "rate": Rate(1, per=HOUR)}
    runtime = calling(world.process(), pay, **policy)
    assert runtime.run("app", {"amount": 1}, id="a").output == (1, 1)
    waits = runtime.run("app", {"amount": 2}, id="b")
    assert (waits.status, runtime.get("b").execution().lease_owner) == ("suspended", None)
    assert runtime.get("b").execution().run_after == pytest.approx(runtime.database.clock() + HOUR, abs=60)
    assert noted(runtime, "b") == ["rate_limited", "suspended"]
    assert runtime.recover() == []  # nothing to be done before its time
    later = calling(world.process(later=HOUR + 1), pay, **policy)
    assert [done.id for done in later.recover()] == ["b"]
    assert world.effects == [(1, 1), (2, 1)]
    assert kinds(later.get("b")).count("step_started") == (1 if effect == "once" else 0)


def test_each_attempt_takes_a_turn_and_tools_may_share_one_rate(world):
    def pay(amount):
        world.did(amount)
        if len(world.effects) == 1:
            raise ValueError
        return amount

    def mail(amount):
        return world.did(f"mail {amount}")

    shared = Rate(2, per=HOUR, name="api.example.com")
    runtime = calling(world.process(), pay, rate=shared, retry=Retry(initial=0.001))
    assert runtime.run("app", {"amount": 1}, id="a").output == 1
    assert calling(runtime, mail, rate=shared).run("app", {"amount": 2}, id="b").status == "suspended"
    assert calling(runtime, mail).run("app", {"amount": 3}, id="c").status == "succeeded"


def test_a_decision_waits_with_the_call_it_was_made_for(world):
    def pay(amount):
        return world.did(amount)

    policy = {"approval": True, "rate": Rate(1, per=HOUR)}
    runtime = calling(world.process(), pay, **policy)
    for number in (1, 2):
        (asked,) = runtime.run("app", {"amount": number}, id=str(number)).interrupts
        runtime.decide(asked.id, Decision.edit({"amount": 10 * number}), by="alice")
    assert runtime.run("app", {"amount": 1}, id="1").output == 10
    assert runtime.run("app", {"amount": 2}, id="2").status == "suspended"
    assert runtime.interrupt(asked.id).status == "decided"
    assert runtime.recover() == []
    later = calling(world.process(later=HOUR + 1), pay, **policy)
    assert [done.output for done in later.recover()] == [20]
    assert later.interrupt(asked.id).status == "consumed"


def failing(world, *errors):
    """A tool that raises these errors, one a call, then works."""

    def pay(amount):
        world.did(amount)
        if len(world.effects) <= len(errors):
            raise errors[len(world.effects) - 1]
        return amount

    return pay


BREAKER = Breaker(failures=2, reset=60.0)


def test_after_failures_in_a_row_nobody_calls_until_one_has_tried(world):
    pay = failing(world, OSError(), OSError(), OSError())
    runtime = calling(world.process(), pay, breaker=BREAKER)
    assert [runtime.run("app", {"amount": n}, id=str(n)).status for n in (1, 2)] == ["failed", "failed"]
    assert noted(runtime, "2") == ["circuit_opened"]
    assert [runtime.run("app", {"amount": n}, id=str(n)).status for n in (3, 4)] == ["suspended", "suspended"]
    assert noted(runtime, "3") == ["circuit_open", "suspended"]
    assert world.effects == [1, 2]
    runtime = calling(world.process(later=61), pay, breaker=BREAKER)
    assert [done.status for done in runtime.recover()] == ["failed", "suspended"]  # the one that tried, the other
    runtime = calling(world.process(later=61), pay, breaker=BREAKER)
    assert [done.status for done in runtime.recover()] == ["succeeded"]
    assert runtime.run("app", {"amount": 5}).status == "succeeded"


def test_another_process_of_the_database_knows_of_it(world):
    pay = failing(world, OSError(), OSError())
    for number in (1, 2):
        calling(world.process(), pay, breaker=BREAKER).run("app", {"amount": number})
    assert calling(world.process(), pay, breaker=BREAKER).run("app", {"amount": 3}).status == "suspended"


def test_waiting_for_a_circuit_takes_no_turn_of_the_rate(world):
    policy = {"breaker": BREAKER, "rate": Rate(3, per=HOUR)}
    pay = failing(world, OSError(), OSError())
    runtime = calling(world.process(), pay, **policy)
    for number in range(5):
        runtime.run("app", {"amount": number}, id=str(number))
    runtime = calling(world.process(later=61), pay, **policy)
    assert sorted(done.status for done in runtime.recover()) == ["succeeded", "suspended", "suspended"]


@pytest.mark.parametrize(
    ("error", "opens"),
    [
        (OSError(), True),
        (Answered(500), True),
        (Answered(429), True),
        (Answered(404), False),
        (Answered(401), False),
        (KeyError(), False),
        (RecursionError(), False),
        (StepTimeout("s", 1.0), True),
    ],
)
def test_only_what_says_something_about_who_was_called_counts(error, opens):
    breaker = Breaker(on=(OSError, LookupError, Answered, StepTimeout), never=(KeyError,))
    assert breaker.counts(error) is opens


def test_a_success_in_between_starts_the_count_again(world):
    def pay(amount):
        if amount < 0:
            raise OSError
        return amount

    runtime = calling(world.process(), pay, breaker=BREAKER)
    found = [runtime.run("app", {"amount": n}).status for n in (-1, 1, -1, 1)]
    assert found == ["failed", "succeeded"] * 2


def test_a_token_that_has_expired_is_renewed_once_for_one_attempt_more(world):
    renewed = []
    pay = failing(world, Answered(401), OSError())
    retry = Retry(attempts=2, initial=0.001, on_expired_token=lambda context: renewed.append(context.attempt))
    runtime = calling(world.process(), pay, retry=retry)
    assert runtime.run("app", {"amount": 1}, id="a").output == 1
    assert (world.effects, renewed) == ([1, 1, 1], [1])


def test_a_token_is_renewed_in_async_code_and_a_second_refusal_is_final(world):
    renewed = []

    async def renew(context):
        await asyncio.sleep(0)
        renewed.append(context.execution_id)

    runtime = world.process()

    @tool(retry=Retry(attempts=1, on_expired_token=renew))
    async def pay():
        world.did("asked")
        raise Answered(401)

    @runtime.function("app")
    async def app():
        await pay()

    assert runtime.run("app", id="a").error["message"] == "status 401"
    assert (world.effects, renewed) == (["asked"] * 2, ["a"])


def test_a_renewal_that_fails_is_what_the_step_came_to(world):
    def renew(_):
        raise OSError("no token")

    runtime = calling(world.process(), failing(world, Answered(401)), retry=Retry(on_expired_token=renew))
    assert runtime.run("app", {"amount": 1}).error == {"type": "OSError", "message": "no token"}
    assert world.effects == [1]


@pytest.mark.parametrize(
    "made",
    [
        lambda: Rate(0),
        lambda: Rate(1, per=0),
        lambda: Rate(1, per=float("nan")),
        lambda: Breaker(failures=0),
        lambda: Breaker(reset=0),
    ],
)
def test_impossible_numbers_are_refused(made):
    with pytest.raises(InvalidConfiguration):
        made()
