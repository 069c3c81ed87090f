"""A commit whose answer comes later than the lease starts nothing."""

from __future__ import annotations

import pytest

from durable import Decision, LeaseLost, NotDone, tool
from durable.live.clock import Clock
from durable.telemetry import Telemetry
from tests.world import LEASE, World


class Frozen(Clock):
    """A process that stood still for some time."""

    stood_still = 0.0

    def monotonic(self):
        return super().monotonic() + self.stood_still


class Late(Telemetry):
    """Something happens between a commit and its answer, once it is armed."""

    meanwhile = None

    def committed(self, seconds):
        super().committed(seconds)
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            act()


@pytest.fixture
def world(database_url):
    world = World(database_url)
    yield world
    world.close()


@pytest.mark.parametrize("gated", [False, True])
def test_an_effect_whose_start_is_confirmed_after_the_lease_is_not_started(world, gated):
    clock, late = Frozen(), Late()

    def app(runtime, who):
        @tool(effect="once", reconcile=lambda key, arguments: NotDone(), approval=gated)
        def charge():
            return world.did(who)

        runtime.function("app")(lambda: charge())
        return runtime

    first = app(world.process(clock=clock, telemetry=late), "first")
    first.start("app", id="e")
    if gated:
        [waiting] = first.run("app", id="e").interrupts
        first.decide(waiting.id, Decision.approve(), by="alice")

    def another_goes_on():
        clock.stood_still = 2 * LEASE
        assert [result.output for result in app(world.process(later=2 * LEASE), "second").recover()] == ["second"]

    original = first.writer.submit

    def submit(entry):
        if any(record.kind == "step_started" for record in entry.records):
            late.meanwhile = another_goes_on
        original(entry)

    first.writer.submit = submit
    with pytest.raises(LeaseLost):
        first.run("app", id="e")
    assert world.effects == ["second"]
