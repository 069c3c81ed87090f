"""Killed at any point, an agent of each framework goes on, and each of its effects has happened once.

With ``--every-point`` at each point there is, on both databases; without, once at every kind of point (LangGraph) or behind every
kind of change, on PostgreSQL for LangGraph only.
"""

from __future__ import annotations

import pytest

from tests.crash.adk_scenarios import AdkAgent, AdkAgentTool, AdkWorkflow
from tests.crash.harness import enumerate_kinds, enumerate_points
from tests.crash.langgraph_scenarios import Agent
from tests.crash.openai_scenarios import Desk, Streamed
from tests.crash.places import Places

BY_CHANCE = 2
"""So many kinds of points in a shard may be due to branches that happen to share a commit."""


def shards(**counts):
    """Each scenario in so many parts."""
    scenarios = {
        scenario.__name__: scenario for scenario in (Agent, Desk, Streamed, AdkAgent, AdkWorkflow, AdkAgentTool)
    }
    return [
        pytest.param(scenarios[name], shard, count, id=f"{name}-{shard}")
        for name, count in counts.items()
        for shard in range(count)
    ]


def held(places, enumerated, shard, count, record_property, **how):
    tally = enumerated(places, shard=shard, shards=count, **how)
    record_property("crash", f"{places.scenario.name} {tally}")
    assert not tally.violations, str(tally)
    assert tally.points == tally.kills > 0, str(tally)
    assert len(tally.missed) <= BY_CHANCE, str(tally)


@pytest.mark.parametrize(
    ("scenario", "shard", "count"), shards(Agent=3, Desk=2, Streamed=2, AdkAgent=2, AdkWorkflow=2, AdkAgentTool=2)
)
def test_an_agent_killed_at_any_point_is_recovered_as_if_nothing_had_happened(
    scenario, shard, count, every_point, record_property
):
    with Places(scenario()) as places:
        if every_point:
            held(places, enumerate_points, shard, count, record_property)
        else:
            held(places, enumerate_kinds, shard, count, record_property, only_changes=scenario is not Agent)


@pytest.mark.parametrize(("scenario", "shard", "count"), shards(Agent=3))
def test_so_is_one_on_postgresql(scenario, shard, count, postgres_server, every_point, record_property):
    with Places(scenario(), postgres_server) as places:
        if every_point:
            held(places, enumerate_points, shard, count, record_property)
        else:
            held(places, enumerate_kinds, shard, count, record_property, only_changes=True)


@pytest.mark.every_point
@pytest.mark.parametrize(
    ("scenario", "shard", "count"), shards(Desk=2, Streamed=2, AdkAgent=2, AdkWorkflow=2, AdkAgentTool=2)
)
def test_so_are_all_on_postgresql(scenario, shard, count, postgres_server, record_property):
    with Places(scenario(), postgres_server) as places:
        held(places, enumerate_points, shard, count, record_property)
