"""Plays: one case on one framework, act by act. What happened is counted outside."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Any

import pytest

from durable.testing.acts import Alters, Decides, Deploys, Dies, Forges, GoesOn, Passes, Returns, Waits
from durable.testing.outside import Outside
from durable.testing.processes import START, Death, killed

if TYPE_CHECKING:
    from durable.testing.cases import Case
    from durable.testing.desk import Desk


class Play:
    """One case on one framework. ``perform`` raises AssertionError where it does not come to what the case says."""

    def __init__(self, case: Case, desk: Desk) -> None:
        self.case, self.desk = case, desk
        self._acted = False

    def perform(self) -> None:
        """Run the agent, play the acts, let it go on to its end, and look at what there is."""
        desk, case = self.desk.process(), self.case
        desk.run(replace(desk.entry, tags=case.tags))
        for act in case.acts:
            self.act(act)
            self._acted = not isinstance(act, Waits)
        self._go_on()
        handle = desk.handle()
        assert (handle.status, desk.open()) == (case.status, {})
        assert desk.outside.counts() == dict.fromkeys(case.effects, 1)
        assert desk.script.results.keys() == case.results.keys()
        for call, words in case.results.items():
            assert words in desk.script.results[call]
        assert desk.script.asked.count(0) == 1
        assert handle.verify() == len(handle.history())

    def _go_on(self) -> None:
        """Let a worker in another process do what there is to do; nothing, if nothing has happened."""
        if self._acted:
            self.desk.process().runtime.recover()
            self._acted = False

    @singledispatchmethod
    def act(self, act: Any) -> None:
        """Play one act."""
        raise NotImplementedError(act)

    @act.register
    def _(self, act: Decides) -> None:
        runtime, questions = self.desk.runtime, self.desk.open(status=None)
        assert act.call in questions, f"nobody was asked about {act.call}"
        interrupt = questions[act.call]
        if act.refused is None:
            runtime.decide(interrupt.id, act.decision, by=act.by)
            return
        with pytest.raises(act.refused):
            runtime.decide(interrupt.id, act.decision, by=act.by)

    @act.register
    def _(self, act: Passes) -> None:
        self.desk.processes.now += act.seconds
        self.desk.process()

    @act.register
    def _(self, act: Waits) -> None:
        self._go_on()
        assert {call: row.kind for call, row in self.desk.open().items()} == dict.fromkeys(act.calls, act.kind)
        assert self.desk.outside.counts() == dict.fromkeys(act.effects, 1)
        assert self.desk.handle().status == "suspended"

    @act.register
    def _(self, _: Returns) -> None:
        self.desk.process().run()

    @act.register
    def _(self, _: GoesOn) -> None:
        self.desk.process().go_on()

    @act.register
    def _(self, _: Forges) -> None:
        before = self.desk.outside.counts(), self.desk.open().keys()
        self.desk.fixture.forge(self.desk.agent, self.desk.entry)
        assert (self.desk.outside.counts(), self.desk.open().keys()) == before

    @act.register
    def _(self, act: Alters) -> None:
        self.desk.script.altered = act.to

    @act.register
    def _(self, act: Deploys) -> None:
        self.desk.default = act.default

    @act.register
    def _(self, act: Dies) -> None:
        def work() -> None:
            death = Death(act.at)
            self.desk.outside = Outside(self.desk.outside.path, death.point)
            desk = self.desk.process(point=death.point)
            death.point(START)
            desk.runtime.recover()

        assert killed(work), "the process came to its end"
