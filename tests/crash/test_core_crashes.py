"""Killed at any point, the core recovers: each invariant of tests.crash.invariants holds, on SQLite and PostgreSQL.

With ``--every-point`` at each point there is. Without, once at every kind of point of each scenario, on PostgreSQL behind
every kind of change; there, and for pairs of kills, of the scenarios in CENTRAL only.
"""

from __future__ import annotations

import pytest

from tests.crash.core_scenarios import CORE, Approved, Effects, SideBySide, Signalled
from tests.crash.harness import enumerate_kinds, enumerate_pairs, enumerate_points
from tests.crash.places import Places

SECONDS = 3
"""Second kills for each first one; ``python -m tests.crash --pairs`` tries all of them."""

BY_CHANCE = 2
"""So many kinds of points may be due to branches that happen to share a commit."""

CENTRAL = {Effects, SideBySide, Approved, Signalled}
"""Between them: every effect, retries, branches, approvals, a wait for something from outside."""

SHARDS = [
    (scenario, shard, shards)
    for scenario in CORE
    for shards in [2 if scenario in {SideBySide, Approved} else 1]
    for shard in range(shards)
]


def params(*, leave_out=frozenset()):
    """All shards; what is left out belongs to the whole enumeration only."""
    return [
        pytest.param(
            *one, id=f"{one[0].__name__}-{one[1]}", marks=pytest.mark.every_point if one[0] in leave_out else ()
        )
        for one in SHARDS
    ]


def held(tally, scenario, *, every_point):
    """Nothing is violated; and the kills came where they were to come, the whole enumeration going on until past the last point."""
    assert not tally.violations, str(tally)
    assert tally.points == tally.kills > 0
    if scenario.side_by_side == 1:
        assert not tally.missed
        assert tally.undisturbed == (1 if every_point else 0), str(tally)
    assert len(tally.missed) <= BY_CHANCE, str(tally)


@pytest.mark.parametrize(("scenario", "shard", "shards"), params())
def test_a_process_killed_at_any_point_is_recovered_as_if_nothing_had_happened(
    scenario, shard, shards, every_point, record_property
):
    with Places(scenario()) as places:
        enumerated = enumerate_points if every_point else enumerate_kinds
        tally = enumerated(places, shard=shard, shards=shards)
    record_property("crash", f"{scenario.name} {tally}")
    held(tally, scenario, every_point=every_point)


@pytest.mark.parametrize(("scenario", "shard", "shards"), params(leave_out={*CORE} - CENTRAL))
def test_on_postgresql_a_process_killed_at_any_point_is_recovered_too(
    scenario, shard, shards, postgres_server, every_point, record_property
):
    with Places(scenario(), postgres_server) as places:
        if every_point:
            tally = enumerate_points(places, shard=shard, shards=shards)
        else:
            tally = enumerate_kinds(places, shard=shard, shards=shards, only_changes=True)
    record_property("crash", f"{scenario.name} {tally}")
    held(tally, scenario, every_point=every_point)


@pytest.mark.parametrize(("scenario", "shard", "shards"), params(leave_out={*CORE} - CENTRAL))
def test_a_second_kill_while_the_first_is_recovered_changes_nothing(
    scenario, shard, shards, every_point, record_property
):
    with Places(scenario()) as places:
        tally = enumerate_pairs(places, seconds=SECONDS if every_point else 1, shard=shard, shards=shards)
    record_property("crash", f"{scenario.name} pairs {tally}")
    assert not tally.violations, str(tally)
    assert tally.points > 0
