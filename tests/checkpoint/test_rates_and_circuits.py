"""Rates and circuits: one statement decides for all workers; nobody is let through twice, whatever the interleaving."""

from __future__ import annotations

import pytest

from durable.checkpoint.pace import circuits, rates
from durable.checkpoint.pace.circuits import Circuit
from tests.races.racers import race

HOUR = 3600.0


@pytest.fixture
def pace(store):
    def take(calls=3, per=HOUR, name="mail", later=0.0):
        process = store.process(clock_offset=later)
        taken = process.do(lambda connection: rates.take(process.db, connection, "n", name, calls=calls, per=per))
        return None if taken is None else taken - store.db.clock()

    return take


def test_so_many_at_once_and_then_one_after_the_other(pace):
    assert [pace() for _ in range(3)] == [None] * 3
    first, second, third = pace(), pace(), pace()
    assert first == pytest.approx(HOUR / 3, abs=30)
    assert (second - first, third - second) == pytest.approx((HOUR / 3, HOUR / 3), abs=30)
    assert pace(later=HOUR / 3) is None
    assert pace(later=HOUR / 3) is not None


def test_what_was_not_used_in_an_hour_does_not_add_up(pace):
    assert pace() is None
    assert [pace(later=100 * HOUR) is None for _ in range(4)] == [True, True, True, False]


def test_each_name_has_its_own(pace):
    assert pace(calls=1) is None
    assert pace(calls=1) is not None
    assert pace(calls=1, name="sms") is None


@pytest.fixture
def circuit(store):
    class OnCircuit:
        def process(self, later):
            return store.process(clock_offset=later)

        def fails(self, later=0.0):
            db = self.process(later).db
            return db.transact(lambda c: circuits.failed(db, c, "n", "host", failures=2, reset=60.0))

        def probe(self, later=0.0):
            db = self.process(later).db
            return db.transact(lambda c: circuits.probe(db, c, "n", "host", reset=60.0))

        def look(self):
            with store.db.read() as connection:
                return circuits.look(connection, "n", "host")

        def works(self):
            store.do(circuits.succeeded, "n", "host")

    return OnCircuit()


def test_a_circuit_opens_after_so_many_failures_in_a_row(circuit):
    assert circuit.look() == Circuit()
    assert not circuit.fails()
    circuit.works()
    assert not circuit.fails()
    assert circuit.look() == Circuit(1)
    assert circuit.fails()
    assert circuit.look().retry_at is not None


def test_one_is_let_through_an_open_circuit_and_decides(circuit):
    circuit.fails()
    circuit.fails()
    assert circuit.probe(later=50).retry_at is not None  # not yet
    assert circuit.probe(later=61).retry_at is None  # this one
    assert circuit.probe(later=62).retry_at is not None  # nobody else
    assert circuit.probe(later=122).retry_at is None  # the first has died with it
    assert circuit.fails(later=123)
    assert circuit.probe(later=170).retry_at is not None
    circuit.works()
    assert circuit.look() == Circuit()


def test_processes_that_come_at_once_share_one_rate_and_one_probe(store):
    url = store.db.url.render_as_string(hide_password=False)
    store.do(lambda c: circuits.failed(store.db, c, "n", "host", failures=1, reset=0.001))
    for database in store.opened:
        database.close()

    def work(runtime, meet):
        db = runtime.database
        meet()
        passed = sum(db.transact(lambda c: rates.take(db, c, "n", "mail", calls=7, per=HOUR)) is None for _ in range(5))
        return passed, db.transact(lambda c: circuits.probe(db, c, "n", "host", reset=HOUR)).retry_at is None

    found = [ended.value for ended in race(url, *[work] * 4)]
    assert sum(passed for passed, _ in found) == 7
    assert sum(probing for _, probing in found) == 1
