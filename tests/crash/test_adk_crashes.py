"""Killed at any point, a Google ADK app goes on: parallel tools, an approval, an agent as a tool, a workflow with a join."""

from __future__ import annotations

import pytest

from tests.crash.adk_scenarios import ADK
from tests.crash.harness import enumerate_points
from tests.crash.places import Places

SHARDS = 4


def held(scenario, tally, record_property):
    record_property("crash", f"{scenario.name} {tally}")
    assert not tally.violations, str(tally)
    assert tally.points > 0
    assert tally.kills == tally.points == tally.stories - tally.undisturbed
    assert tally.undisturbed > 0, "the last point + 1 must run to the end"


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("scenario", ADK, ids=lambda scenario: scenario.app)
def test_an_app_killed_at_any_point_is_recovered_as_if_nothing_had_happened(scenario, shard, record_property):
    with Places(scenario()) as places:
        held(scenario, enumerate_points(places, shard=shard, shards=SHARDS), record_property)


@pytest.mark.parametrize("scenario", ADK, ids=lambda scenario: scenario.app)
def test_an_app_killed_behind_any_change_is_recovered_on_postgresql_too(postgres_server, scenario, record_property):
    with Places(scenario(), postgres_server) as places:
        held(scenario, enumerate_points(places, only_changes=True), record_property)
