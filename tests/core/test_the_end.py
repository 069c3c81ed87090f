"""Code that ends without a call that had begun, or that was decided about, has not succeeded: a person is asked."""

from __future__ import annotations

import pytest

from durable import Approval, Decision, step, tool, wait_signal
from tests.world import DAY, crashed, intact


def versions(world, flavour, *bodies):
    """The same durable function in several versions."""

    def process(number):
        runtime = world.process(later=DAY)
        flavour.app(runtime, "app", bodies[number])
        return runtime

    return process


def paying(pay, *, ends=True):
    def body():
        paid = yield lambda: step(pay, 5)
        if not ends:
            yield lambda: wait_signal("go")
        return paid

    return body


def nothing():
    return "nothing was done"
    yield


@pytest.fixture
def begun(world, flavour):
    """Versions of a function of which the first dies in the middle of a payment, and the second makes none."""
    pay = tool(effect="once")(flavour.fn(lambda amount: world.die()))
    process = versions(world, flavour, paying(pay), nothing)
    first = process(0)
    crashed(lambda: first.run("app", id="a"))
    return process


def test_an_effect_that_began_is_not_left_behind_by_code_that_ends(begun, world):
    changed = begun(1)
    result = changed.run("app", id="a")
    assert result.status == "suspended"
    (drift,) = result.interrupts
    assert (drift.kind, drift.subject["recorded"]["step"], drift.subject["now"]["name"]) == ("drift", "<lambda>#1", "")
    changed.run("app", id="a")
    assert len(changed.interrupts()) == 1
    intact(changed.get("a"))


@pytest.mark.parametrize(("decision", "status"), [(Decision.approve(), "succeeded"), (Decision.cancel(), "cancelled")])
def test_a_person_says_whether_it_has_ended_all_the_same(begun, decision, status):
    changed = begun(1)
    (drift,) = changed.run("app", id="a").interrupts
    changed.decide(drift.id, decision, by="alice")
    assert changed.run("app", id="a").status == status
    assert changed.interrupts() == []


def test_a_call_that_was_approved_is_not_dropped(world, flavour):
    pay = tool(effect="once", approval=Approval())(flavour.fn(world.did))
    process = versions(world, flavour, paying(pay), nothing)
    first = process(0)
    (asked,) = first.run("app", id="a").interrupts
    first.decide(asked.id, Decision.approve(), by="alice")
    result = process(1).run("app", id="a")
    assert [interrupt.kind for interrupt in result.interrupts] == ["drift"]
    assert world.effects == []


def test_code_that_runs_from_its_beginning_does_not_end_without_an_effect_that_is_done(world, flavour):
    pay = tool(effect="once")(flavour.fn(world.did))
    process = versions(world, flavour, paying(pay, ends=False), nothing)
    process(0).run("app", id="a")
    changed = process(1)
    changed.get("a").signal("go")
    assert [interrupt.kind for interrupt in changed.run("app", id="a").interrupts] == ["drift"]


def test_code_that_comes_by_all_of_its_calls_succeeds(world, flavour):
    pay = tool(effect="once")(flavour.fn(world.did))
    process = versions(world, flavour, paying(pay, ends=False), paying(pay))
    process(0).run("app", id="a")
    changed = process(1)
    changed.get("a").signal("go")
    assert changed.run("app", id="a").status == "succeeded"
    assert world.effects == [5]
