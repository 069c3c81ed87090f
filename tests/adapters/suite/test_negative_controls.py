"""The suite finds what it is there to find: with a bug planted in an adapter, it fails."""

from __future__ import annotations

import shutil

import pytest

from durable import ToolPolicy
from durable.step.gates import doubt
from durable.step.verdicts import PASS
from durable.testing import kills
from durable.testing.cases import CASES, ROLES
from durable.testing.desk import Desk
from durable.testing.outside import Outside
from durable.testing.play import Play
from durable.testing.processes import Moment, Processes, sqlite_template
from durable.testing.script import Script
from examples.adapters.pydantic_ai import entry, tools
from examples.adapters.pydantic_ai.suite import PydanticAI


@pytest.fixture
def desk(tmp_path):
    processes = Processes(f"sqlite:///{shutil.copy(sqlite_template(), tmp_path / 'durable.db')}")
    outside = Outside(tmp_path / "outside")

    def make(turns, **options):
        return Desk(PydanticAI(), processes, outside, Script(outside, turns), options)

    yield make
    processes.close()


def killed_at(desk, moment):
    agent = desk(kills.TURNS, policies=kills.POLICIES)
    agent.tools = kills.four_tools
    kills.kill_and_recover(agent, moment, streamed=False)


def play(desk, name):
    (case,) = [case for case in CASES if case.name == name]
    Play(case, desk((case.calls,), policies={"pay": ToolPolicy(approval=case.gate)}, roles=ROLES)).perform()


def test_a_once_effect_that_is_simply_run_again_is_found(desk, monkeypatch):
    monkeypatch.setattr(doubt, "inquire", lambda _: PASS)
    with pytest.raises(AssertionError, match="once effect ship happened 2 times"):
        killed_at(desk, Moment("after ship"))


def test_an_adapter_that_ignores_what_its_tools_declare_is_found(desk, monkeypatch):
    monkeypatch.setattr(tools, "_function_of", lambda _: None)
    with pytest.raises(AssertionError, match="in doubt, which is not once"):
        killed_at(desk, Moment("after look_up"))


def test_an_adapter_without_a_seam_for_models_is_found(desk, monkeypatch):
    monkeypatch.setattr(entry.Durability, "get_wrapper_model", lambda _, model: None)
    with pytest.raises(AssertionError):
        play(desk, "approve")


def test_an_adapter_without_a_seam_for_tools_is_found(desk, monkeypatch):
    monkeypatch.setattr(entry.Durability, "get_wrapper_toolset", lambda _, toolset: None)
    with pytest.raises(AssertionError):
        play(desk, "reject and continue")
