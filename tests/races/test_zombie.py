"""A worker that was stopped past its lease and wakes up: it is told LeaseLost, and writes nothing.

Fencing keeps its records out, not its call: the outside saw it, so what is to happen once there is never run again, and
what is run again comes with the same key.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

import psutil
import pytest

from durable import Decision, Runtime, current, tool
from durable.errors import ExecutionBusy
from tests.races.racers import racing
from tests.world import intact, until

LEASE = 1.0


def calling(runtime, ledger, effect, inside):
    """A durable function whose tool calls the outside, and then does ``inside``."""

    @tool(effect=effect)
    def call():
        ledger.did(f"call under {current().idempotency_key}")
        inside()
        return f"answered {os.getpid()}"

    @runtime.function("app")
    def app():
        return call()

    return runtime


@pytest.fixture
def url(database_url):
    """A migrated database to which nobody is connected."""
    Runtime(database_url).close()
    return database_url


@contextmanager
def stopped(url, ledger, go, effect):
    """A process that is stopped in the middle of its tool, while its lease goes by; a call wakes it and hears its end."""

    def work(runtime, _):
        def stop():
            # never given back: no renewal is in a transaction while it is stopped, and none tells it later that its
            # lease is gone; its only fence is the journal
            runtime.leases._renewing.acquire()
            os.kill(os.getpid(), signal.SIGSTOP)
            until(go.exists, seconds=60)

        return calling(runtime, ledger, effect, stop).run("app", id="x").status

    with racing(url, work, lease=LEASE) as racers:
        (pid,) = racers.pids
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)

        def wake():
            go.touch()
            os.kill(pid, signal.SIGCONT)
            return racers.hear().error

        yield wake


def taken_over(runtime):
    """What it came to as soon as the lease of the one that is stopped was over, and not before."""
    lease_expires_at = runtime.get("x").execution().lease_expires_at

    def result():
        try:
            return runtime.run("app", id="x")
        except ExecutionBusy:
            return None

    found = until(result, seconds=60)
    claimed = [record.at for record in runtime.get("x").history() if record.kind == "claimed"]
    assert claimed[1] > lease_expires_at, "a process that is stopped is alive: its lease is waited for"
    return found


@pytest.mark.parametrize("early", [False, True], ids=["after the other has ended", "in the middle of the other"])
def test_a_stopped_worker_that_wakes_up_gets_lease_lost_and_writes_nothing(url, ledger, tmp_path, early):
    told = []
    with stopped(url, ledger, tmp_path / "go", "idempotent") as wake:
        runtime = calling(Runtime(url), ledger, "idempotent", lambda: early and told.append(wake()))
        with runtime:
            assert taken_over(runtime).output == f"answered {os.getpid()}"
            handle = runtime.get("x")
            before = handle.history()
            if not early:
                told.append(wake())
            assert told == ["LeaseLost"]
            assert handle.history() == before
            assert [(record.kind, record.epoch) for record in before] == [
                ("started", 0),
                ("claimed", 1),
                ("claimed", 2),
                ("step_done", 2),
                ("succeeded", 2),
            ]
            intact(handle)
    first, second = ledger.lines()
    assert first == second  # the same key: the outside can tell


def test_what_a_stopped_worker_was_about_to_do_once_is_in_doubt_and_stays_so_when_it_wakes_up(url, ledger, tmp_path):
    with stopped(url, ledger, tmp_path / "go", "once") as wake, Runtime(url) as runtime:
        calling(runtime, ledger, "once", lambda: None)
        (doubt,) = taken_over(runtime).interrupts
        before = runtime.get("x").history()
        assert wake() == "LeaseLost"
        assert runtime.get("x").history() == before
        assert runtime.interrupts() == [doubt]
        assert len(ledger.lines()) == 1
        runtime.decide(doubt.id, Decision.happened("seen at the other side"), by="alice")
        assert runtime.run("app", id="x").output == "seen at the other side"
        assert len(ledger.lines()) == 1
        assert {record.epoch for record in runtime.get("x").history()[len(before) :]} == {3}
        intact(runtime.get("x"))
