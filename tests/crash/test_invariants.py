"""Each invariant can fail: a sound story, falsified in one place, violates the one that speaks of that place."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest

from tests.crash.core_scenarios import Approved
from tests.crash.harness import Teller
from tests.crash.invariants import check
from tests.crash.places import Places

ID = "approved"


@pytest.fixture(scope="module")
def sound():
    """What an undisturbed life of Approved leaves, seen twice: in the middle of the story, and at its end."""
    with Places(Approved()) as places, Teller(places) as teller:
        story, violations = teller.go_on([teller.begin(None)], ())
    assert violations == []
    return replace(story, facts=[story.facts[-1], story.facts[-1]])


def line(what, effect="enable"):
    return lambda ledger: next(
        one for one in ledger if one["what"] == what and effect in {one.get("effect"), one.get("tool")}
    )


def effect_arrives_twice(facts, ledger):
    ledger.append(line("arrived")(ledger))


def effect_never_arrives(facts, ledger):
    ledger.remove(line("arrived")(ledger))
    ledger.remove(line("acknowledged")(ledger))


def key_changes(facts, ledger):
    ledger.insert(0, {**line("arrived", "announce")(ledger), "key": "another"})


def result_changes(facts, ledger):
    ledger.append({**line("acknowledged")(ledger), "value": "other"})


def record_vanishes(facts, ledger):
    del facts["journals"][ID][-1]


def record_changes(facts, ledger):
    facts["journals"][ID][2]["digest"] = "00"


def step_stays_open(facts, ledger):
    rows = facts["journals"][ID]
    rows[:] = [row for row in rows if (row["step_key"], row["kind"]) != ("enable#1", "step_done")]


def stale_owner_writes(facts, ledger):
    facts["journals"][ID][-1]["epoch"] = 0


def epoch_without_a_claim(facts, ledger):
    facts["journals"][ID][-1]["epoch"] += 1


def end_is_missing(facts, ledger):
    facts["executions"][ID]["status"] = "suspended"


def end_is_another(facts, ledger):
    facts["executions"][ID]["status"] = "failed"


def chain_is_broken(facts, ledger):
    facts["broken"] = ["digest of seq 2 does not fit"]


def lease_is_kept(facts, ledger):
    facts["executions"][ID]["lease_owner"] = "somebody"


def effect_before_its_decision(facts, ledger):
    arrived = line("arrived")(ledger)
    ledger.remove(arrived)
    ledger.insert(0, arrived)


def decision_for_other_arguments(facts, ledger):
    line("decided")(ledger)["arguments"] = {"plan": "free"}


def decision_still_open(facts, ledger):
    facts["interrupts"][0]["status"] = "decided"


def asked_again(facts, ledger):
    facts["interrupts"].append(facts["interrupts"][0])


def doubt_without_a_kill(facts, ledger):
    facts["interrupts"].append({**facts["interrupts"][0], "id": "another", "kind": "in_doubt", "tool": "enable"})


FALSIFIED = [
    (effect_arrives_twice, "I1"),
    (effect_never_arrives, "I1"),
    (key_changes, "I1"),
    (result_changes, "I2"),
    (record_vanishes, "I2"),
    (record_changes, "I2"),
    (step_stays_open, "I3"),
    (stale_owner_writes, "I4"),
    (epoch_without_a_claim, "I4"),
    (end_is_missing, "I5"),
    (end_is_another, "I5"),
    (end_is_another, "I6"),
    (record_vanishes, "I6"),
    (chain_is_broken, "I6"),
    (lease_is_kept, "I6"),
    (effect_before_its_decision, "I7"),
    (decision_for_other_arguments, "I7"),
    (decision_still_open, "I7"),
    (asked_again, "I7"),
    (doubt_without_a_kill, "I8"),
]


@pytest.mark.parametrize(
    ("falsify", "invariant"), FALSIFIED, ids=lambda one: one if isinstance(one, str) else one.__name__
)
def test_a_falsified_story_violates(falsify, invariant, sound):
    facts, ledger = deepcopy(sound.facts[-1]), deepcopy(sound.ledger)
    falsify(facts, ledger)
    found = check(Approved(), replace(sound, facts=[sound.facts[0], facts], ledger=ledger))
    assert invariant in {violation.invariant for violation in found}, found
