"""Threads of checkpoints: listed, filtered, copied, pruned and deleted; any string is a name, never a statement."""

from __future__ import annotations

from itertools import pairwise

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import INTERRUPT
from langgraph.types import Interrupt

from durable.adapters.langgraph.state.saver import PAGE, DurableSaver
from durable.errors import InvalidConfiguration
from tests.adapters.langgraph_saver_world import TABLES, at, chain, checkpoint, ids, put, rows

AWKWARD = [
    "a' OR '1'='1",
    "'; DROP TABLE snapshots; --",
    'double "quoted"',
    "$.step",
    "a.b[0]",
    "back\\slash",
    "%",
    "_",
    ":bound",
    "?",
    "{}",
    "ключ",
    " leading",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_any_string_is_a_filter_key_and_a_value(saver, name):
    put(saver, **{name: name})
    put(saver, **{name: "other"})
    put(saver)
    (found,) = saver.list(at(), filter={name: name})
    assert found.metadata[name] == name
    assert ids(saver.list(at(), filter={f"{name}'": name})) == []
    assert len(list(saver.list(at()))) == 3


@pytest.mark.parametrize("name", AWKWARD)
def test_any_printable_string_is_a_thread_and_a_namespace(saver, name):
    config = put(saver, {"a": name}, at(name, f"{name}:1"))
    put(saver, {"a": "neighbour"}, at("neighbour"))
    saver.put_writes(config, [(name, name)], name, name)
    saver.copy_thread(name, "copy")
    saver.prune([name])
    assert saver.get_tuple(at("copy", f"{name}:1")).pending_writes == [(name, name, name)]
    saver.delete_thread(name)
    assert saver.get_tuple(config) is None
    assert saver.get_tuple(at("neighbour")).checkpoint["channel_values"] == {"a": "neighbour"}


def test_listing_is_newest_first_by_pages_with_before_and_limit(saver):
    made = chain(saver, PAGE * 2 + 7)
    newest_first = made[::-1]
    assert ids(saver.list(at())) == newest_first
    assert ids(saver.list(at(), limit=PAGE + 3)) == newest_first[: PAGE + 3]
    assert ids(saver.list(at(), limit=0)) == []
    assert ids(saver.list(at(), before=at(checkpoint_id=made[5]))) == made[4::-1]
    assert ids(saver.list(at(), before=at(checkpoint_id=made[5]), limit=2)) == [made[4], made[3]]
    assert ids(saver.list(at(checkpoint_id=made[9]))) == [made[9]]
    assert ids(saver.list(at(), filter={"odd": True})) == made[1::2][::-1]
    assert ids(saver.list(at(), filter={"odd": True}, limit=PAGE)) == made[1::2][::-1][:PAGE]
    assert ids(saver.list(at(), filter={"step": 3, "odd": True, "source": "loop"})) == [made[3]]
    assert ids(saver.list(at(), filter={"step": "3"})) == []
    parents = [found.parent_config["configurable"]["checkpoint_id"] for found in saver.list(at(), limit=10)]
    assert list(zip(newest_first, parents, strict=False)) == list(pairwise(newest_first))[:10]


def test_listing_without_a_namespace_or_a_thread_has_them_all(saver, saver_runtime):
    root, child, other = chain(saver, 2), chain(saver, 2, ns="child:1"), chain(saver, 2, thread="other")
    assert ids(saver.list(at(ns=""))) == root[::-1]
    assert ids(saver.list({"configurable": {"thread_id": "thread"}})) == [*child[::-1], *root[::-1]]
    assert ids(saver.list(None)) == [*other[::-1], *child[::-1], *root[::-1]]
    saver_runtime.namespace = "elsewhere"
    assert ids(saver.list(None)) == []


def test_copies_with_the_same_ids_are_all_listed(saver):
    made = chain(saver, PAGE)
    for copy in ("b", "c"):
        saver.copy_thread("thread", copy)
    found = [(each.checkpoint["id"], each.config["configurable"]["thread_id"]) for each in saver.list(None)]
    assert found == [(id_, thread) for id_ in made[::-1] for thread in ("b", "c", "thread")]


async def test_async_listing_is_the_same(saver):
    made = chain(saver, PAGE + 5)
    assert [each.checkpoint["id"] async for each in saver.alist(at())] == made[::-1]
    assert [each.checkpoint["id"] async for each in saver.alist(at(), limit=3)] == made[:-4:-1]


def test_a_copy_of_a_thread_is_equal_in_everything_but_its_name(saver):
    chain(saver, 3)
    config = put(saver, {"messages": [HumanMessage("x" * 300, id=str(n)) for n in range(50)], "big": "b" * 9000})
    saver.put_writes(config, [("a", (1, 2)), (INTERRUPT, [Interrupt("?", id="i")])], "task", "path")
    chain(saver, 2, ns="child:1")
    saver.copy_thread("thread", "copy")

    def renamed(found):
        where = {**found.config["configurable"], "thread_id": "thread"}
        parent = found.parent_config and at(
            "thread", where["checkpoint_ns"], found.parent_config["configurable"]["checkpoint_id"]
        )
        return found._replace(config={"configurable": where}, parent_config=parent)

    everywhere = {"configurable": {"thread_id": "thread"}}
    original = list(saver.list(everywhere))
    assert [renamed(found) for found in saver.list({"configurable": {"thread_id": "copy"}})] == original
    saver.delete_thread("thread")
    assert len(list(saver.list({"configurable": {"thread_id": "copy"}}))) == len(original) == 6
    assert saver.get_tuple(at("copy", checkpoint_id=config["configurable"]["checkpoint_id"])).pending_writes


def test_what_is_deleted_leaves_no_row_behind(saver, saver_runtime):
    chain(saver, 3)
    config = put(saver, {"list": ["x" * 400] * 20, "big": "y" * 9000}, run_id="run")
    saver.put_writes(config, [("a", "z" * 9000)], "task")
    kept = chain(saver, 1, thread="kept")
    saver.delete_for_runs(["run"])
    assert {name: len(found) for name, found in rows(saver_runtime).items() if found} == {"snapshots": 4}
    saver.delete_thread("thread")
    assert ids(saver.list(None)) == kept
    saver.prune(["kept"], strategy="delete")
    assert rows(saver_runtime) == {table.name: [] for table in TABLES}


def test_pruning_keeps_what_the_newest_checkpoint_needs_and_nothing_else(saver, saver_runtime):
    config = at()
    for number in range(5):
        made = checkpoint(
            {"list": [f"{n}" * 300 for n in range(number * 5)], "big": "b" * 9000, "own": "o" * 600 + str(number)},
            {"list": f"{number:02}", "big": "1", "own": f"{number:02}"},
        )
        versions = made["channel_versions"] if number == 0 else {"list": f"{number:02}", "own": f"{number:02}"}
        config = saver.put(config, made, {"step": number}, versions)
        saver.put_writes(config, [("a", "w" * 600 + str(number))], "task")
    before = saver.get_tuple(config)
    saver.prune(["thread"])
    assert list(saver.list(at())) == [before]
    assert {name: len(found) for name, found in rows(saver_runtime).items() if name != "snapshot_pieces"} == {
        "snapshots": 1,
        "snapshot_values": 3,
        "snapshot_writes": 1,
    }
    whole = rows(saver_runtime)["snapshot_pieces"]
    fresh = DurableSaver(saver_runtime)
    fresh.copy_thread("thread", "copy")
    fresh.delete_thread("thread")
    assert len(rows(saver_runtime)["snapshot_pieces"]) == len(whole)


def test_an_unknown_way_to_prune_is_refused(saver):
    with pytest.raises(InvalidConfiguration, match="keep_latest"):
        saver.prune(["thread"], strategy="everything")
