"""Killed at any point, the core recovers: each invariant of tests.crash.invariants holds, on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from tests.crash.core_scenarios import CORE, Approved, Effects, SideBySide
from tests.crash.harness import enumerate_pairs, enumerate_points
from tests.crash.places import Places

SECONDS = 3
"""Second kills for each first one; ``python -m tests.crash --pairs`` tries all of them."""

SHARDS = [
    pytest.param(scenario, shard, shards, id=f"{scenario.__name__}-{shard}")
    for scenario in CORE
    for shards in [2 if scenario in {Effects, SideBySide, Approved} else 1]
    for shard in range(shards)
]


@pytest.fixture(params=["sqlite", "postgres"])
def server(request):
    """None for SQLite, the url of the server for PostgreSQL."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_server")


@pytest.mark.parametrize(("scenario", "shard", "shards"), SHARDS)
def test_a_process_killed_at_any_point_is_recovered_as_if_nothing_had_happened(
    scenario, shard, shards, server, record_property
):
    with Places(scenario(), server) as places:
        tally = enumerate_points(places, shard=shard, shards=shards)
    record_property("crash", f"{scenario.name} {tally}")
    assert not tally.violations, str(tally)
    assert tally.points > 0
    assert tally.undisturbed > 0, "behind the last point a life must come to its end"


@pytest.mark.parametrize(("scenario", "shard", "shards"), SHARDS)
def test_a_second_kill_while_the_first_is_recovered_changes_nothing(scenario, shard, shards, record_property):
    with Places(scenario()) as places:
        tally = enumerate_pairs(places, seconds=SECONDS, shard=shard, shards=shards)
    record_property("crash", f"{scenario.name} pairs {tally}")
    assert not tally.violations, str(tally)
    assert tally.points > 0
