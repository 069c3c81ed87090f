"""Killed at any point, the core recovers: each invariant of tests.crash.invariants holds, on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from tests.crash.core_scenarios import CORE
from tests.crash.harness import enumerate_pairs, enumerate_points
from tests.crash.places import Places

SHARDS = 2
SECONDS = 3
"""Second kills for each first one; ``python -m tests.crash --pairs`` tries all of them."""


@pytest.fixture(params=["sqlite", "postgres"])
def server(request):
    """None for SQLite, the url of the server for PostgreSQL."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_server")


@pytest.fixture(params=CORE, ids=lambda scenario: scenario.__name__)
def scenario(request):
    return request.param()


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_process_killed_at_any_point_is_recovered_as_if_nothing_had_happened(
    scenario, server, shard, record_property
):
    with Places(scenario, server) as places:
        tally = enumerate_points(places, shard=shard, shards=SHARDS)
    record_property("crash", f"{scenario.name} {tally}")
    assert not tally.violations, str(tally)
    assert tally.points > 0
    assert tally.kills == tally.points == tally.stories - tally.undisturbed
    assert tally.undisturbed > 0, "the last point + 1 must run to the end"


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_second_kill_while_the_first_is_recovered_changes_nothing(scenario, shard, record_property):
    with Places(scenario) as places:
        tally = enumerate_pairs(places, seconds=SECONDS, shard=shard, shards=SHARDS)
    record_property("crash", f"{scenario.name} pairs {tally}")
    assert not tally.violations, str(tally)
    assert tally.points > 0
