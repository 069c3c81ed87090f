"""Each case of governance, on LangGraph, the OpenAI Agents SDK and Google ADK alike: see ``cases``.

Each act is played by a process of its own: a new runtime on the same database, with an agent that was built anew. Where a
process dies it is a real one. What happened is counted outside, and what the model was told is what its last prompt held.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import singledispatchmethod

import pytest

from durable import ToolPolicy
from durable.step.gates import approval
from tests.adapters.langgraph_world import KILLED, Ledger, killed
from tests.governance.cases import CASES, ROLES, Alters, Decides, Deploys, Dies, Forges, Passes, Returns, Waits
from tests.governance.frameworks import FRAMEWORKS, ID, Scene
from tests.world import DAY, World, intact


class Play:
    """One case on one framework: what it does about each act."""

    def __init__(self, case, framework, world, ledger):
        self.case, self.framework, self.world, self.ledger = case, framework, world, ledger
        self.scene, self.acted = Scene(ledger, case.calls), False
        self.agent, self.runtime = self.process()

    def process(self, scene=None, **options):
        """A new process with the agent, and its runtime."""
        policies = {"pay": ToolPolicy(approval=self.case.gate)}
        runtime = self.world.process(policies=policies, roles=ROLES, **options)
        return self.framework(scene or self.scene, runtime), runtime

    def goes_on(self):
        """A worker in another process does what there is to do; nothing, if nothing has happened."""
        if self.acted:
            self.agent, self.runtime = self.process()
            self.runtime.recover()
            self.acted = False

    def open(self):
        """The open questions by call."""
        return {row.step_key.rpartition("tool:")[2]: row for row in self.runtime.interrupts(execution_id=ID)}

    def happened(self):
        return {what: count for what, count in self.ledger.counts().items() if not what.startswith("model")}

    def play(self, act):
        self.act(act)
        self.acted = not isinstance(act, Waits)

    @singledispatchmethod
    def act(self, act):
        raise NotImplementedError(act)

    @act.register
    def _(self, act: Decides):
        rows = {
            row.step_key.rpartition("tool:")[2]: row for row in self.runtime.interrupts(status=None, execution_id=ID)
        }
        if act.refused is None:
            self.runtime.decide(rows[act.call].id, act.decision, by=act.by)
            return
        with pytest.raises(act.refused):
            self.runtime.decide(rows[act.call].id, act.decision, by=act.by)

    @act.register
    def _(self, act: Passes):
        self.world.now += act.seconds
        self.agent, self.runtime = self.process()

    @act.register
    def _(self, act: Waits):
        self.goes_on()
        assert {call: row.kind for call, row in self.open().items()} == dict.fromkeys(act.calls, act.kind)
        assert self.happened() == dict.fromkeys(act.effects, 1)
        assert self.runtime.get(ID).status == "suspended"

    @act.register
    def _(self, act: Returns):
        self.agent, self.runtime = self.process()
        self.agent.run()

    @act.register
    def _(self, act: Forges):
        before, was = self.happened(), self.open().keys()
        self.agent.forge()
        assert (self.happened(), self.open().keys()) == (before, was)

    @act.register
    def _(self, act: Alters):
        self.scene.altered = act.to

    @act.register
    def _(self, act: Deploys):
        self.scene.default = act.default

    @act.register
    def _(self, act: Dies):
        def work():
            monkeypatch = pytest.MonkeyPatch()
            if act.at == "with the decision":
                monkeypatch.setattr(approval, "_answered", lambda *_: os._exit(KILLED))
            scene = replace(self.scene, ledger=Ledger(self.ledger.path, die_at=act.at))
            self.process(scene)[1].recover()

        killed(work)
        self.world.now += DAY


def played(case, framework, url, folder):
    world = World(url)
    try:
        play = Play(case, FRAMEWORKS[framework], world, Ledger(folder / "ledger"))
        play.agent.run(tags=case.tags)
        for act in case.acts:
            play.play(act)
        play.goes_on()
        handle = play.runtime.get(ID)
        assert (handle.status, play.open()) == (case.status, {})
        assert play.happened() == dict.fromkeys(case.effects, 1)
        assert play.scene.saw.keys() == case.told.keys()
        for call, told in case.told.items():
            assert told in play.scene.saw[call]
        assert play.ledger.counts()["model calls"] == 1
        intact(handle)
    finally:
        world.close()


def on_each(cases):
    found = [pytest.param(case, name, id=f"{case.name}: {name}") for case in cases for name in case.on or FRAMEWORKS]
    return pytest.mark.parametrize(("case", "framework"), found)


@on_each(CASES)
def test_governance(case, framework, migrated_sqlite_url, tmp_path):
    played(case, framework, migrated_sqlite_url, tmp_path)


@on_each(case for case in CASES if case.on_postgres)
def test_governance_on_postgresql(case, framework, migrated_postgres_url, tmp_path):
    played(case, framework, migrated_postgres_url, tmp_path)
