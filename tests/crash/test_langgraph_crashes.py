"""Killed at any point, a LangGraph agent goes on: parallel tools, an approval, Send, a sub-graph and @task.

With ``--every-point`` at each point there is; without, once at every kind of point, on PostgreSQL behind every kind of change.
"""

from __future__ import annotations

import pytest

from tests.crash.harness import enumerate_kinds, enumerate_points
from tests.crash.langgraph_scenarios import Agent
from tests.crash.places import Places

SHARDS = 3

BY_CHANCE = 2
"""So many kinds of points in a shard may be due to branches that happen to share a commit."""


def held(tally, record_property):
    record_property("crash", f"{Agent.name} {tally}")
    assert not tally.violations, str(tally)
    assert tally.points == tally.kills > 0, str(tally)
    assert len(tally.missed) <= BY_CHANCE, str(tally)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_an_agent_killed_at_any_point_is_recovered_as_if_nothing_had_happened(shard, every_point, record_property):
    with Places(Agent()) as places:
        enumerated = enumerate_points if every_point else enumerate_kinds
        held(enumerated(places, shard=shard, shards=SHARDS), record_property)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_an_agent_killed_at_any_point_is_recovered_on_postgresql_too(
    postgres_server, shard, every_point, record_property
):
    with Places(Agent(), postgres_server) as places:
        if every_point:
            tally = enumerate_points(places, shard=shard, shards=SHARDS)
        else:
            tally = enumerate_kinds(places, shard=shard, shards=SHARDS, only_changes=True)
        held(tally, record_property)
