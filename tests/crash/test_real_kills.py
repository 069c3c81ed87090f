"""Real processes and real signals: worker processes, in fresh interpreters, that are killed, stopped and told to go."""

from __future__ import annotations

import random
import signal
import sqlite3

import psycopg
import pytest
from sqlalchemy import make_url

from durable import Runtime
from durable.testing.outside import Outside
from tests.crash.facts import gather
from tests.crash.invariants import check
from tests.crash.process import MAX_ATTEMPTS, POISON, Gated, Poisoned, Process, Ticking, gate, until
from tests.crash.story import Story

KILLS = 2
LEASE = 1.0
"""Seconds."""


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "ledger"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.every_point)])
def database_url(request):
    """An empty database."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def runtime(database_url):
    with Runtime(database_url) as runtime:
        yield runtime


def story(runtime, ledger, kills=0):
    outputs = {execution.id: repr(execution.output) for execution in runtime.executions()}
    return Story([gather(runtime)], Outside(ledger).lines(), [(0, "SIGKILL")] * kills, outputs)


def records(runtime, execution_id):
    return [(row["seq"], row["digest"]) for row in gather(runtime)["journals"][execution_id]]


def test_a_worker_killed_at_a_random_moment_is_replaced_by_another(runtime, database_url, ledger):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments, world, scenario = random.Random(seed), Outside(ledger), Ticking()
    runtime.start("app", id="ticking")
    handle = runtime.get("ticking")

    def answered():
        for interrupt in runtime.interrupts():
            runtime.decide(interrupt.id, scenario.answer(interrupt, world), by="ann")
        return handle.execution().ended

    for _ in range(KILLS):
        seen = len(world.lines())
        with Process(database_url, ledger, Ticking) as worker:
            wanted = seen + moments.randint(1, 15)
            until(lambda wanted=wanted: answered() or len(world.lines()) >= wanted, "it has come further")
            worker.send(signal.SIGKILL)
    with Process(database_url, ledger, Ticking) as worker:
        until(answered, "the execution has ended")
        worker.send(signal.SIGTERM)
        assert worker.end()[0] == 0
    assert check(scenario, story(runtime, ledger, kills=KILLS)) == []


def test_an_execution_that_ends_every_worker_is_given_up_and_its_neighbour_goes_on(runtime, database_url, ledger):
    runtime.start("poison", id="poison")
    runtime.start("app", id="neighbour")
    for _ in range(MAX_ATTEMPTS):
        with Process(database_url, ledger, Poisoned) as worker:
            assert worker.end()[0] == POISON
    with Process(database_url, ledger, Poisoned) as worker:
        until(lambda: runtime.get("neighbour").execution().ended, "the neighbour has ended")
        worker.send(signal.SIGTERM)
        assert worker.end()[0] == 0
    assert len(Outside(ledger).lines("arrived", effect="swallow")) == MAX_ATTEMPTS
    assert runtime.get("poison").execution().error["message"].startswith(f"its worker crashed {MAX_ATTEMPTS} times")
    assert check(Poisoned(), story(runtime, ledger, kills=MAX_ATTEMPTS)) == []


def test_a_worker_that_wakes_after_its_lease_has_expired_writes_nothing(runtime, database_url, ledger):
    world = Outside(ledger)
    runtime.start("app", id="gated")
    gate(ledger, 2).touch()
    with Process(database_url, ledger, Gated, lease=LEASE) as zombie:
        until(lambda: world.lines("arrived", effect="first"), "the first worker is inside the step")
        stop(zombie, database_url)
        with Process(database_url, ledger, Gated, lease=LEASE) as other:
            until(lambda: runtime.get("gated").execution().ended, "the second worker has finished")
            before = records(runtime, "gated")
            gate(ledger, 1).touch()
            zombie.send(signal.SIGCONT)
            zombie.send(signal.SIGTERM)
            status, said = zombie.end()
            assert (status, "LeaseLost" in said) == (0, True), said
            assert records(runtime, "gated") == before
            assert [line["pid"] for line in world.lines("arrived")] == [zombie.pid, other.pid, other.pid]
            assert len({line["key"] for line in world.lines("arrived", effect="first")}) == 1
    assert check(Gated(), story(runtime, ledger)) == []


def test_a_worker_told_to_go_finishes_its_step_and_gives_the_execution_back(runtime, database_url, ledger):
    world = Outside(ledger)
    handle = runtime.start("app", id="gated")
    with Process(database_url, ledger, Gated) as worker:
        until(lambda: world.lines("arrived", effect="first"), "the worker is inside the step")
        worker.send(signal.SIGTERM)
        until(lambda: world.lines("draining"), "the worker has heard it")
        runtime.start("app", id="later")
        gate(ledger, 1).touch()
        assert worker.end()[0] == 0
    assert (handle.status, handle.execution().attempts, runtime.get("later").status) == ("pending", 0, "pending")
    assert [record.kind for record in handle.history()][-2:] == ["step_done", "note"]
    assert not world.lines("arrived", effect="second")
    runtime.get("later").cancel()
    with Process(database_url, ledger, Gated) as worker:
        until(lambda: handle.execution().ended, "the next worker has finished")
        worker.send(signal.SIGTERM)
        assert worker.end()[0] == 0
    assert [line["effect"] for line in world.lines("arrived")] == ["first", "second"]
    assert check(Gated(), story(runtime, ledger)) == []


def stop(process, url):
    """Stop a process where it holds no lock: stopped in the middle of a renewal it would hold it until it goes on."""
    while True:
        process.send(signal.SIGSTOP)
        if is_free(make_url(url)):
            return
        process.send(signal.SIGCONT)


def is_free(url):
    if url.get_backend_name() == "sqlite":
        connection = sqlite3.connect(url.database, timeout=0.1, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
        else:
            return True
        finally:
            connection.close()
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        try:
            connection.execute("SELECT id FROM executions FOR UPDATE NOWAIT")
        except psycopg.errors.LockNotAvailable:
            return False
        else:
            return True
