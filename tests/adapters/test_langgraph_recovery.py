"""Kill the process in the middle of an effect: another one goes on, and what had finished does not run again.

A process is forked and ends itself in the effect (no handler, no flush, as by SIGKILL); this process then continues by each
of the three ways there are.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable import Runtime, ToolPolicy
from durable.adapters.langgraph import durable_graph
from tests.adapters.langgraph_structures import STRUCTURES, Maker
from tests.adapters.langgraph_world import Ledger, killed

CONFIG: Any = {"configurable": {"thread_id": "t"}}
POLICIES = {"act": ToolPolicy(effect="idempotent"), "delegate": ToolPolicy(effect="read")}
WAYS = ["None", "same input", "recover"]


def app(structure, runtime, ledger, is_async):
    return durable_graph(structure.build(Maker(ledger, is_async=is_async)), runtime, name="app")


def invoke(graph, given, config, is_async, **options):
    if is_async:
        return asyncio.run(graph.ainvoke(given, config, **options))
    return graph.invoke(given, config, **options)


def crash(structure, url, path, config, is_async, **options):
    """One process: it starts the app and dies in its effect."""

    def live():
        with Runtime(url, policies=POLICIES) as runtime:
            ledger = Ledger(path, die_at=structure.die_at)
            return invoke(app(structure, runtime, ledger, is_async), structure.given, config, is_async, **options)

    killed(live)


def finished(runtime, effects):
    """The effects whose answers are on record."""
    history = runtime.get(runtime.executions()[0].id).history()
    recorded = repr([record.value() for record in history if record.kind == "step_done"])
    done = {effect for effect in effects if f"{effect} done" in recorded}
    models = sum(record.payload["name"] == "chat:scripted" for record in history if record.kind == "step_done")
    return done | {f"model {number}" for number in range(models)}


def recovered(way, graph, runtime, structure, config, is_async, **options):
    """Another process goes on: the output."""
    if way == "recover":
        [result] = runtime.recover()
        assert result.status == "succeeded", result.error
        return result.output
    return invoke(graph, None if way == "None" else structure.given, config, is_async, **options)


def bare_output(structure, path, is_async):
    graph = structure.build(Maker(Ledger(path), is_async=is_async))
    return invoke(graph.compile() if hasattr(graph, "compile") else graph, structure.given, {}, is_async)


def in_short(output):
    if isinstance(output, dict) and "messages" in output:
        return [(message.type, message.content) for message in output["messages"]]
    return output


def check(structure, url, tmp_path, way, is_async, **options):
    path = tmp_path / "ledger"
    config = {**CONFIG, "max_concurrency": 1} if structure.serial else CONFIG
    crash(structure, url, path, config, is_async, **options)
    ledger = Ledger(path)
    before = ledger.counts()
    assert before[structure.die_at] == 1
    with Runtime(url, policies=POLICIES) as runtime:
        graph = app(structure, runtime, ledger, is_async)
        kept = finished(runtime, structure.effects)
        assert structure.die_at not in kept
        found = recovered(way, graph, runtime, structure, config, is_async, **options)
        assert in_short(found) == in_short(bare_output(structure, tmp_path / "bare", is_async))
        once = {effect: 2 if effect in before and effect not in kept else 1 for effect in structure.effects}
        assert ledger.counts() == once
        for effect in structure.effects:
            assert len(set(ledger.keys(effect))) == 1
        [execution] = runtime.executions()
        assert execution.status == "succeeded"
        assert runtime.interrupts() == []
        assert runtime.get(execution.id).verify() > 0
        return kept


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_what_had_finished_does_not_run_again(sqlite_url, tmp_path, name, is_async):
    """The ways to continue take turns over the structures; each is tried on each kind of structure below."""
    structure = STRUCTURES[name]
    way = WAYS[(list(STRUCTURES).index(name) + is_async) % len(WAYS)]
    kept = check(structure, sqlite_url, tmp_path, way, is_async)
    earlier = structure.effects[: structure.effects.index(structure.die_at)]
    parallel = structure.parallel or (structure.serial and is_async)  # then a may not have finished when b dies
    assert {effect for effect in earlier if effect != "a" or not parallel} <= kept


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["nodes", "ToolNode", "create_agent", "@task"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_each_way_to_continue_leads_to_the_same_end(sqlite_url, tmp_path, name, way, is_async):
    check(STRUCTURES[name], sqlite_url, tmp_path, way, is_async)


@pytest.mark.parametrize("name", ["tools by hand", "Send", "sub-graph", "@task"])
def test_the_same_holds_on_postgresql(postgres_url, tmp_path, name):
    check(STRUCTURES[name], postgres_url, tmp_path, "recover", name in {"Send", "@task"})


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("name", ["nodes", "@task", "sub-graph called"])
def test_every_durability_is_safe(sqlite_url, tmp_path, name, durability):
    kept = check(STRUCTURES[name], sqlite_url, tmp_path, "None", name != "nodes", durability=durability)
    assert kept


def test_a_process_that_dies_in_the_first_effect_has_lost_nothing_but_that(sqlite_url, tmp_path):
    from dataclasses import replace

    check(replace(STRUCTURES["nodes"], die_at="a"), sqlite_url, tmp_path, "None", False, durability="exit")


def test_two_crashes_one_after_the_other_are_recovered_too(sqlite_url, tmp_path):
    from dataclasses import replace

    structure, path = STRUCTURES["ToolNode"], tmp_path / "ledger"
    config = {**CONFIG, "max_concurrency": 1}
    crash(structure, sqlite_url, path, config, False)
    crash(replace(structure, die_at="c"), sqlite_url, path, config, False)
    with Runtime(sqlite_url, policies=POLICIES) as runtime:
        graph = app(structure, runtime, Ledger(path), False)
        assert in_short(graph.invoke(None, config))[-1] == ("ai", "end")
    assert Ledger(path).counts() == {"model 0": 1, "a": 1, "b": 2, "c": 2, "model 1": 1}
    assert all(len(set(Ledger(path).keys(effect))) == 1 for effect in "abc")
