"""DurableSaver: writes are idempotent and safe from any thread; a stale owner writes nothing; bad names are refused."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from langgraph.checkpoint.base import ERROR, INTERRUPT, RESUME

from durable.adapters.langgraph.state import keys
from durable.checkpoint import claims
from durable.checkpoint.claims import Owner
from durable.errors import InvalidId, LeaseLost
from durable.run.open import open_segment
from tests.adapters.langgraph_saver_world import at, checkpoint, ids, put, rows


@pytest.mark.parametrize("thread", ["", "  ", "a\x00b", "line\nbreak", "\ud800", "x" * 256])
def test_a_thread_id_that_cannot_be_one_is_refused(saver, thread):
    with pytest.raises(InvalidId, match="thread_id"):
        put(saver, config=at(thread))
    with pytest.raises(InvalidId):
        saver.get_tuple(at(thread))


def test_other_names_that_no_database_can_hold_are_refused(saver):
    with pytest.raises(InvalidId, match="thread_id"):
        saver.get_tuple({"configurable": {}})
    with pytest.raises(InvalidId, match="checkpoint_ns"):
        put(saver, config=at(ns="\ud800"))
    with pytest.raises(InvalidId, match="checkpoint_id"):
        saver.put_writes(at(checkpoint_id="a\x00"), [("a", 1)], "task")


def test_a_number_may_be_a_thread_id(saver):
    put(saver, {"a": 1}, at(7))
    assert saver.get_tuple(at("7")).checkpoint["channel_values"] == {"a": 1}


def test_writes_come_by_task_path_task_and_place(saver):
    config = put(saver, {})
    saver.put_writes(config, [("a", 1), ("b", 2)], "task-1", "~path, 2")
    saver.put_writes(config, [("a", 3)], "task-2", "~path, 1")
    saver.put_writes(config, [("a", 4)], "task-0")
    expected = [("task-0", "a", 4), ("task-2", "a", 3), ("task-1", "a", 1), ("task-1", "b", 2)]
    assert saver.get_tuple(config).pending_writes == expected


def test_special_writes_replace_and_others_stay_as_first_written(saver):
    config = put(saver, {})
    saver.put_writes(config, [(ERROR, "first"), (INTERRUPT, "first")], "task")
    saver.put_writes(config, [(ERROR, "second")], "task")
    saver.put_writes(config, [("a", "first")], "task")
    saver.put_writes(config, [("a", "second"), ("b", "first"), (INTERRUPT, "second")], "task")
    written = {channel: value for _, channel, value in saver.get_tuple(config).pending_writes}
    assert written == {ERROR: "second", INTERRUPT: "first", "a": "first", "b": "first"}


def test_an_error_is_kept_as_it_reads(saver):
    class Foreign(Exception):
        pass

    config = put(saver, {})
    saver.put_writes(config, [(ERROR, Foreign("no such customer"))], "task")
    assert saver.get_tuple(config).pending_writes == [("task", ERROR, "Foreign('no such customer')")]


def test_writes_before_their_checkpoint_are_found_with_it(saver):
    made = checkpoint({"a": 1})
    saver.put_writes(at(checkpoint_id=made["id"]), [(RESUME, "yes")], "task")
    assert saver.get_tuple(at(checkpoint_id=made["id"])) is None
    config = saver.put(at(), made, {}, {"a": "1"})
    assert saver.get_tuple(config).pending_writes == [("task", RESUME, "yes")]


def test_writes_from_many_threads_are_all_there_and_none_twice(saver):
    config = put(saver, {})

    def write(number):
        saver.put_writes(config, [("own", number), ("own", -number)], f"task-{number:02}")
        saver.put_writes(config, [("shared", number)], "shared")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(40)))
    found = saver.get_tuple(config).pending_writes
    own = [write for write in found if write[1] == "own"]
    assert own == [(f"task-{n:02}", "own", v) for n in range(40) for v in (n, -n)]
    assert len(found) == len(own) + 1


async def test_every_method_works_on_a_running_loop_and_beside_it(saver):
    config = put(saver, {"a": 1})
    await asyncio.gather(*(saver.aput_writes(config, [("a", n)], f"t{n:02}") for n in range(40)))
    assert len((await saver.aget_tuple(config)).pending_writes) == len(saver.get_tuple(config).pending_writes) == 40
    await saver.acopy_thread("thread", "copy")
    await saver.aprune(["thread"])
    await saver.adelete_for_runs(["nobody"])
    await saver.adelete_thread("thread")
    assert saver.get_tuple(config) is None
    assert ids(saver.list(at("copy"))) == [config["configurable"]["checkpoint_id"]]


def owned(config, segment):
    """The config of a run that this segment drives."""
    return {"configurable": {**config["configurable"], keys.SEGMENT: segment}}


def test_an_owner_that_lost_its_claim_writes_nothing(saver, saver_runtime):
    saver_runtime.start("app", {}, id=saver_runtime.namespace, thread="thread")
    stale = open_segment(saver_runtime, saver_runtime.namespace, forced=True)
    mine = owned(put(saver, {"a": 1}, owned(at(), stale)), stale)
    saver.put_writes(mine, [("a", "first")], "task")
    db, dead = saver_runtime.database, [saver_runtime.leases.owner.name]
    db.transact(
        lambda connection: claims.claim(
            db, connection, saver_runtime.namespace, saver_runtime.namespace, Owner("another", 30.0), dead=dead
        )
    )
    before = rows(saver_runtime)
    with pytest.raises(LeaseLost):
        put(saver, {"a": 2}, mine)
    with pytest.raises(LeaseLost):
        saver.put_writes(mine, [("a", "second")], "late task")
    with pytest.raises(LeaseLost):
        saver.put_writes(mine, [(ERROR, "second")], "task")
    assert rows(saver_runtime) == before
    assert saver.get_tuple(at()).pending_writes == [("task", "a", "first")]


def test_a_write_of_an_execution_is_a_record_of_its_journal(saver, saver_runtime):
    handle = saver_runtime.start("app", {}, id=saver_runtime.namespace, thread="thread")
    segment = open_segment(saver_runtime, saver_runtime.namespace, forced=True)
    stored = put(saver, {"a": 1}, owned(at(), segment))
    mine = owned(stored, segment)
    saver.put_writes(mine, [("long" * 50, 1), ("b", 2)], "task")
    put(saver, {"a": 1}, {"configurable": {**mine["configurable"], "thread_id": "another thread"}})
    first, second = (record for record in handle.history() if record.kind == "checkpoint")
    checkpoint_id = stored["configurable"]["checkpoint_id"]
    assert first.payload == {"checkpoint": checkpoint_id, "step": 1, "source": "loop"}
    assert (second.payload["checkpoint"], second.payload["task"]) == (checkpoint_id, "task")
    assert len(repr(second.payload)) < 200
