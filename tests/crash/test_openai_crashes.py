"""Killed at any point, an agent of the OpenAI Agents SDK goes on: its tools, guardrail, handoff, sub-agent and approval.

With ``--every-point`` at each point there is, on PostgreSQL too; without, once behind every kind of change.
"""

from __future__ import annotations

import pytest

from tests.crash.harness import enumerate_kinds, enumerate_points
from tests.crash.openai_scenarios import Desk, Streamed
from tests.crash.places import Places

SHARDS = 2

BY_CHANCE = 2
"""So many kinds of points in a shard may be due to branches that happen to share a commit."""


def held(scenario, tally, record_property):
    record_property("crash", f"{scenario.name} {tally}")
    assert not tally.violations, str(tally)
    assert tally.points == tally.kills > 0, str(tally)
    assert len(tally.missed) <= BY_CHANCE, str(tally)


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("scenario", [Desk, Streamed])
def test_an_agent_killed_at_any_point_is_recovered_as_if_nothing_had_happened(
    scenario, shard, every_point, record_property
):
    with Places(scenario()) as places:
        if every_point:
            tally = enumerate_points(places, shard=shard, shards=SHARDS)
        else:
            tally = enumerate_kinds(places, shard=shard, shards=SHARDS, only_changes=True)
        held(scenario, tally, record_property)


@pytest.mark.every_point
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("scenario", [Desk, Streamed])
def test_so_is_one_on_postgresql(scenario, postgres_server, shard, record_property):
    with Places(scenario(), postgres_server) as places:
        held(scenario, enumerate_points(places, shard=shard, shards=SHARDS), record_property)
