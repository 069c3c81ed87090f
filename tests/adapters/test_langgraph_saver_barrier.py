"""Waiting for a checkpoint to be durable, and writes that are committed together with the checkpoint that follows."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from langgraph.checkpoint.base import ERROR

from durable.adapters.langgraph.state.commit_together import Convoys
from durable.adapters.langgraph.state.durability_barrier import Barrier
from durable.adapters.langgraph.state.saver import DurableSaver
from durable.checkpoint.database import JOURNAL_THREADS
from durable.errors import DatabaseUnavailable, NotEncodable
from tests.adapters.langgraph_saver_world import at, checkpoint, put

SOON = 30.0  # seconds: only a failure takes them


def test_who_waits_goes_on_when_the_checkpoint_is_durable(saver, saver_runtime):
    made = checkpoint({"a": 1})
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(saver.wait_durable, made["id"], "", SOON) for _ in range(4)]
        saver.put(at(), made, {}, {"a": "1"})
        assert [each.result(SOON) for each in waiting] == [None] * 4
    assert DurableSaver(saver_runtime).get_tuple(at()).checkpoint["id"] == made["id"]


def test_a_checkpoint_that_was_read_is_durable(saver, saver_runtime):
    config = put(saver, {"a": 1})
    other = DurableSaver(saver_runtime)
    with pytest.raises(DatabaseUnavailable, match="not durable within"):
        other.wait_durable(config["configurable"]["checkpoint_id"], "", 0.01)
    other.get_tuple(at())
    other.wait_durable(config["configurable"]["checkpoint_id"], "", 0.01)


def test_a_namespace_has_its_own_checkpoints(saver):
    config = put(saver, {"a": 1}, at(ns="child:1"))
    saver.wait_durable(config["configurable"]["checkpoint_id"], "child:1", 0.01)
    with pytest.raises(DatabaseUnavailable):
        saver.wait_durable(config["configurable"]["checkpoint_id"], "", 0.01)


def test_who_waits_for_a_checkpoint_that_fails_gets_its_error(saver):
    made = checkpoint({"a": print})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(saver.wait_durable, made["id"], "", SOON)
        with pytest.raises(NotEncodable):
            saver.put(at(), made, {}, {"a": "1"})
        with pytest.raises(NotEncodable, match="channel 'a'"):
            waiting.result(SOON)
    with pytest.raises(NotEncodable):
        saver.wait_durable(made["id"], "", SOON)
    saver.put(at(), made | {"channel_values": {"a": 1}}, {}, {"a": "1"})
    saver.wait_durable(made["id"], "", 0.01)


async def test_any_number_of_coroutines_wait_while_the_checkpoint_is_written(saver):
    made = checkpoint({"a": 1})
    waiting = [asyncio.create_task(saver.wait_durable_async(made["id"], "", SOON)) for _ in range(JOURNAL_THREADS * 3)]
    await asyncio.sleep(0)
    waiting.pop().cancel()
    await saver.aput(at(), made, {}, {"a": "1"})
    await asyncio.gather(*waiting)
    await saver.wait_durable_async(made["id"], "", SOON)
    with pytest.raises(DatabaseUnavailable):
        await saver.wait_durable_async("another", "", 0.01)


def test_only_so_many_checkpoints_are_remembered_but_every_waiter():
    barrier = Barrier(limit=10)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(barrier.wait, "", "awaited", SOON)
        for number in range(100):
            barrier.durable("", str(number))
        barrier.durable("", "awaited")
        assert waiting.result(SOON) is None
    for number in range(100):
        barrier.durable("", str(number))
    assert len(barrier._futures) == 10


@contextmanager
def counted(runtime, monkeypatch):
    commits = []
    transact = runtime.database.transact

    def counting(change):
        commits.append(change)
        return transact(change)

    monkeypatch.setattr(runtime.database, "transact", counting)
    yield commits


@pytest.fixture
def patient(saver):
    """The saver, with writes that wait as long as it takes for their checkpoint."""
    saver._convoys = Convoys(linger=SOON)
    return saver


def joined(convoys):
    """Wait until a write waits."""
    while not convoys._waiting:
        threading.Event().wait(0.001)


def test_a_write_is_committed_with_the_checkpoint_that_follows(patient, saver_runtime, monkeypatch):
    config = put(patient, {"a": 1})
    with counted(saver_runtime, monkeypatch) as commits, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(patient.put_writes, config, [("a", 2)], "task")
        joined(patient._convoys)
        put(patient, {"a": 2}, config)
        writing.result(SOON)
        assert len(commits) == 1
    assert patient.get_tuple(config).pending_writes == [("task", "a", 2)]


def test_a_write_without_a_checkpoint_is_committed_alone(saver, saver_runtime, monkeypatch):
    config = put(saver, {"a": 1})
    with counted(saver_runtime, monkeypatch) as commits:
        saver.put_writes(config, [("a", 2)], "task")
        assert len(commits) == 1
    assert saver._convoys._waiting == {}


def test_a_special_write_does_not_wait(patient):
    config = put(patient, {"a": 1})
    patient.put_writes(config, [(ERROR, "x")], "task")
    assert patient.get_tuple(config).pending_writes == [("task", ERROR, "x")]


def test_a_checkpoint_of_another_thread_takes_no_write_along(saver):
    config = put(saver, {"a": 1})
    saver._convoys = Convoys(linger=0.2)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(saver.put_writes, config, [("a", 2)], "task")
        joined(saver._convoys)
        put(saver, {"a": 1}, at("another"))
        assert saver._convoys._waiting
        writing.result(SOON)
    assert saver.get_tuple(config).pending_writes == [("task", "a", 2)]


def test_a_write_whose_checkpoint_fails_is_committed_alone(patient, monkeypatch):
    config = put(patient, {"a": 1})
    failing = monkeypatch.context()
    with ThreadPoolExecutor(1) as pool, failing as patched:
        writing = pool.submit(patient.put_writes, config, [("a", 2)], "task")
        joined(patient._convoys)
        patched.setattr("durable.checkpoint.state.snapshots.put", failed_put)
        with pytest.raises(DatabaseUnavailable):
            put(patient, {"a": 2}, config)
        writing.result(SOON)
    assert patient.get_tuple(at()).pending_writes == [("task", "a", 2)]


def failed_put(*_, **__):
    raise DatabaseUnavailable
