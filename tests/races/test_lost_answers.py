"""A commit whose answer is lost: on PostgreSQL, behind a proxy, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError

from durable import Runtime, tool
from durable.checkpoint.database import Database
from durable.checkpoint.journal.writer import Writer
from durable.errors import DatabaseUnavailable, ExecutionBusy, LeaseLost, StorageError
from tests.proxy import ANSWER, FAULTS, REQUEST, SILENCE, proxied
from tests.world import intact, kinds, until

TIMEOUT = 2.0
LEASE = 2.0


@pytest.fixture
def proxy(postgres_url):
    Runtime(postgres_url).close()
    with proxied(postgres_url) as proxy:
        yield proxy


@pytest.fixture
def runtime(proxy):
    with Runtime(database=Database(proxy.url, timeout=TIMEOUT), lease=LEASE) as runtime:
        yield runtime


def three_steps(runtime, ledger, *, inside=lambda _: None):
    """A durable function with a step of each kind; ``inside`` is called in the middle of each."""

    def acting(effect):
        def act(name):
            inside(effect)
            return ledger.did(f"{name} {effect}")

        act.__name__ = act.__qualname__ = effect
        return tool(effect=effect)(act)

    acts = [acting(effect) for effect in ("idempotent", "once", "read")]

    @runtime.function("app")
    def app(name):
        return [act(name) for act in acts]


DONE = ["started", "claimed", "step_done", "step_started", "step_done", "step_done", "succeeded"]


def ended_well(handle, ledger):
    """Each record once, without a gap; each effect once."""
    assert kinds(handle) == DONE
    assert [record.seq for record in handle.history()] == list(range(1, len(DONE) + 1))
    intact(handle)
    assert ledger.lines().count(f"{handle.id} once") == 1
    assert len([line for line in ledger.lines() if line.startswith(f"{handle.id} ")]) == 3


@pytest.mark.parametrize(("fault", "there"), [(REQUEST, 0), (ANSWER, 1), (SILENCE, 1)])
def test_the_proxy_loses_what_it_says_and_whoever_commits_cannot_tell(runtime, proxy, postgres_url, fault, there):
    runtime.start("app", id="first")
    proxy.lose(fault, after=0)
    with pytest.raises(DatabaseUnavailable):
        runtime.start("app", id="x")
    with Runtime(postgres_url) as watching:
        assert len([one for one in watching.executions() if one.id == "x"]) == there
    assert runtime.start("app", id="x").status == "pending"


def test_a_writer_that_does_not_ask_after_a_lost_commit_is_caught(runtime, proxy, ledger, monkeypatch):
    monkeypatch.setattr(Writer, "_digest_at", lambda *_: None)
    three_steps(runtime, ledger, inside=lambda effect: effect == "once" and proxy.lose(ANSWER))
    with pytest.raises(IntegrityError):
        runtime.run("app", {"name": "x"}, id="x")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", ["idempotent", "once", "read"])
def test_the_record_of_a_step_is_neither_lost_nor_doubled(runtime, proxy, ledger, fault, at):
    three_steps(runtime, ledger, inside=lambda effect: effect == at and proxy.lose(fault))
    result = runtime.run("app", {"name": "x"}, id="x")
    assert result.output == ["x idempotent", "x once", "x read"]
    assert proxy.lost == 1
    ended_well(runtime.get("x"), ledger)


def test_an_answer_that_never_comes_is_waited_for_as_long_as_the_timeout_says(runtime, proxy, ledger):
    three_steps(runtime, ledger, inside=lambda effect: effect == "once" and proxy.lose(SILENCE))
    began = time.monotonic()
    assert runtime.run("app", {"name": "x"}, id="x").status == "succeeded"
    assert time.monotonic() - began > TIMEOUT
    began = time.monotonic()
    proxy.lose(SILENCE)
    with pytest.raises(DatabaseUnavailable, match="no answer from the server"):
        runtime.start("app", {"name": "y"}, id="y")
    assert TIMEOUT < time.monotonic() - began < 10 * TIMEOUT
    assert runtime.start("app", {"name": "y"}, id="y").status == "pending"
    assert kinds(runtime.get("y")) == ["started"]


@pytest.mark.parametrize("fault", [REQUEST, ANSWER])
def test_whichever_commit_of_a_run_is_lost_calling_again_ends_it_with_each_effect_once(runtime, proxy, ledger, fault):
    three_steps(runtime, ledger)
    runtime.run("app", {"name": "first"}, id="first")  # it looks at the database's clock, once
    before = proxy.seen
    runtime.run("app", {"name": "calm"}, id="calm")
    number_of_commits = proxy.seen - before

    def result(name):
        try:
            return runtime.run("app", {"name": name}, id=name)
        except (StorageError, ExecutionBusy, LeaseLost):  # of a claim whose answer was lost nobody knows: it expires
            return None

    for place in range(number_of_commits):
        name = f"x{place}"
        proxy.lose(fault, after=place)
        assert until(lambda name=name: result(name), seconds=60).status == "succeeded"
        proxy.disarm()
        handle = runtime.get(name)
        assert [kind for kind in kinds(handle) if kind not in {"claimed", "note"}] == [DONE[0], *DONE[2:]]
        assert len([line for line in ledger.lines() if line.startswith(f"{name} ")]) == 3
        intact(handle)
    assert proxy.lost == number_of_commits


@pytest.mark.parametrize("fault", FAULTS)
def test_steps_side_by_side_whose_shared_commit_is_lost_are_each_recorded_once(runtime, proxy, ledger, fault):
    async def all_there():
        arrived.append(None)
        while len(arrived) < 8:
            await asyncio.sleep(0)
        if not proxy.lost:
            proxy.lose(fault)

    arrived = []

    @tool(effect="once")
    async def send(number):
        await all_there()
        return ledger.did(f"sent {number}")

    @runtime.function("app")
    async def app():
        return await asyncio.gather(*[send(number) for number in range(8)])

    sent = [f"sent {number}" for number in range(8)]
    assert runtime.run("app", id="x").output == sent
    assert proxy.lost == 1
    assert sorted(ledger.lines()) == sent
    done = [record.step_key for record in runtime.get("x").history() if record.kind == "step_done"]
    assert len(done) == len(set(done)) == 8
    intact(runtime.get("x"))


def test_a_run_survives_that_all_its_connections_are_terminated_in_each_of_its_steps(postgres_url, ledger):
    plain = postgres_url.replace("+psycopg", "", 1)
    ended = []

    def terminate(_):
        with psycopg.connect(plain, autocommit=True) as admin:
            found = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid != pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchall()
            ended.append(len(found))

    with Runtime(postgres_url) as runtime:
        three_steps(runtime, ledger, inside=terminate)
        assert runtime.run("app", {"name": "x"}, id="x").status == "succeeded"
        ended_well(runtime.get("x"), ledger)
    assert all(ended)
    assert len(ended) == 3
