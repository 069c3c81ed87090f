"""Killed at any point, a LangGraph agent goes on: parallel tools, an approval, Send, a sub-graph and @task."""

from __future__ import annotations

import pytest

from tests.crash.harness import enumerate_points
from tests.crash.langgraph_scenarios import Agent
from tests.crash.places import Places

SHARDS = 6


def held(tally, record_property):
    record_property("crash", f"{Agent.name} {tally}")
    assert not tally.violations, str(tally)
    assert tally.points > 0
    assert tally.kills == tally.points == tally.stories - tally.undisturbed
    assert tally.undisturbed > 0, "the last point + 1 must run to the end"


@pytest.mark.parametrize("shard", range(SHARDS))
def test_an_agent_killed_at_any_point_is_recovered_as_if_nothing_had_happened(shard, record_property):
    with Places(Agent()) as places:
        held(enumerate_points(places, shard=shard, shards=SHARDS), record_property)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_an_agent_killed_behind_any_change_is_recovered_on_postgresql_too(postgres_server, shard, record_property):
    with Places(Agent(), postgres_server) as places:
        held(enumerate_points(places, shard=shard, shards=SHARDS, only_changes=True), record_property)
