"""The enumeration finds what it is there to find: with a bug planted, it names the invariant that no longer holds.

Each bug is found by the smallest enumeration there is, once behind every kind of change, and so by each larger one.
"""

from __future__ import annotations

import pytest

from tests.crash import planted
from tests.crash.core_scenarios import Approved, Doubts, Effects, SideBySide
from tests.crash.harness import enumerate_kinds
from tests.crash.langgraph_scenarios import Agent
from tests.crash.places import Places

GATED = ("enable#1", "announce#1")


def found(scenario, bug):
    with Places(scenario()) as places:
        tally = enumerate_kinds(places, plant=bug, only_changes=True)
    return {str(violation) for _, violation in tally.violations}


def test_a_once_effect_without_a_started_record_is_found_to_happen_twice():
    violations = found(Doubts, planted.no_started_record)
    assert "I1: once effect deliver happened 2 times" in violations
    assert "I1: once effect publish happened 2 times" in violations


def test_a_once_effect_that_is_simply_run_again_is_found_to_happen_twice():
    assert "I1: once effect charge happened 2 times" in found(Effects, planted.once_runs_again)


def test_a_decision_consumed_before_its_step_is_recorded_is_found_to_be_lost_and_asked_for_again():
    violations = found(Approved, planted.decision_used_up_beforehand)
    assert violations & {
        f"I7: approval at {step} has its decision used up, and nothing was done with it" for step in GATED
    }
    assert violations & {f"I7: approved asked 2 times at {step}" for step in GATED}


def test_a_decision_consumed_after_its_step_is_recorded_is_found_to_be_usable_twice():
    violations = found(Approved, planted.decision_used_up_afterwards)
    assert violations & {f"I7: approval at {step} was acted on, and its decision could be used again" for step in GATED}


def test_a_business_write_apart_from_its_record_is_found_to_be_there_twice():
    violations = found(Effects, planted.two_transactions)
    assert "I1: book has 1 rows, 0 records" in violations
    assert "I1: book has 2 rows, 1 records" in violations


def test_an_idempotency_key_that_changes_with_the_attempt_is_found():
    assert "I1: idempotent effect reserve arrived under different keys" in found(Effects, planted.another_key_each_time)


def test_idempotency_keys_that_branches_exchange_on_a_replay_are_found():
    violations = found(SideBySide, planted.branch_without_a_word)
    assert violations & {f"I1: idempotent effect push {one} arrived under different keys" for one in "ab"}


@pytest.mark.every_point
def test_a_once_effect_of_an_agent_that_is_simply_run_again_is_found_to_happen_twice():
    once = [name for name, effect in Agent.effects.items() if effect == "once"]
    assert found(Agent, planted.once_runs_again) & {f"I1: once effect {name} happened 2 times" for name in once}


def test_a_decision_of_an_agent_consumed_before_its_step_is_recorded_is_found_to_be_lost():
    violations = found(Agent, planted.decision_used_up_beforehand)
    assert any("has its decision used up, and nothing was done with it" in violation for violation in violations)
