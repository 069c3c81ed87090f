"""Executions: started once, claimed by one at a time, let go without losing what comes meanwhile, ended once."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from durable.checkpoint import claims, executions
from durable.checkpoint.claims import Owner
from durable.checkpoint.inbox import interrupts, signals, votes
from durable.checkpoint.inbox.interrupts import NewInterrupt
from durable.checkpoint.inbox.votes import NewDecision
from durable.errors import (
    ExecutionBusy,
    ExecutionClosed,
    ExecutionConflict,
    ExecutionNotFound,
    LeaseLost,
    ThreadBusy,
)
from tests.checkpoint.conftest import CODEC, encoded
from tests.world import until

HOUR = 3600.0


def anybody(*_):
    """Whoever decides, may."""


def put(store, status, **values):
    """Execution ``e`` in a status, as whatever led there would have left it."""
    store.start()
    columns = {"status": status, **values}
    sets = ", ".join(f"{name} = :{name}" for name in columns)
    with store.db.write() as connection:
        connection.execute(text(f"UPDATE executions SET {sets}"), columns)


def asked(store, interrupt_id="i", **changes):
    new = NewInterrupt(
        **{
            "id": interrupt_id,
            "namespace": "default",
            "execution_id": "e",
            "step_key": "s#1",
            "kind": "approval",
            "subject": encoded({"arguments": {}}),
            **changes,
        }
    )
    store.do(interrupts.opening(store.db, new))


def decide(store, interrupt_id="i", by="alice", digest="d"):
    decision = NewDecision(encoded({"kind": "approve"}), digest, by, anybody)
    return store.db.transact(lambda c: votes.decide(store.db, c, "default", interrupt_id, decision))


def suspend(store, epoch=1, **options):
    options = {"wake_at": None, "signals": (), "now": store.db.clock(), **options}
    store.do(executions.suspend, "e", epoch, **options)


def finish(store, status, epoch=1):
    store.do(executions.finish, "e", epoch, status=status)


class TestStart:
    def test_the_first_makes_it_and_the_next_find_it(self, store):
        assert store.start(tags={"a": "b"}, priority=3, queue="q") is True
        assert store.start(tags={"other": "tags"}, priority=9) is False
        found = store.get()
        assert (found.status, found.priority, found.queue, found.tags) == ("pending", 3, "q", {"a": "b"})
        assert (found.epoch, found.attempts, found.output, found.error) == (0, 0, None, None)
        assert [(record.seq, record.kind) for record in store.records()] == [(1, "started")]
        assert found.run_after == found.created_at

    @pytest.mark.parametrize(
        ("what", "changes"),
        [
            ("input", {"input": b"2"}),
            ("app", {"app": "other"}),
            ("thread", {"thread": "t"}),
            ("namespace", {"namespace": "elsewhere"}),
        ],
    )
    def test_the_same_id_with_another_request_is_a_conflict_that_says_which(self, store, what, changes):
        store.start()
        with pytest.raises(ExecutionConflict, match=f"'e' exists with another {what}"):
            store.start(**changes)
        assert len(store.records()) == 1

    @pytest.mark.parametrize("status", ["pending", "running", "suspended"])
    def test_a_thread_with_an_open_execution_is_busy(self, store, status):
        put(store, status, thread="t")
        with pytest.raises(ThreadBusy, match="'t'.*'e'.*" + status) as caught:
            store.start("f", thread="t")
        assert caught.value.execution_id == "e"
        assert store.start("g", thread="u")
        assert store.start("h", thread=None)
        assert store.start("i", thread=None)

    @pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled", "dead"])
    def test_a_thread_is_free_when_its_execution_has_ended(self, store, status):
        put(store, status, thread="t")
        assert store.start("f", thread="t")

    def test_an_input_too_large_for_its_row_stands_in_a_blob(self, store):
        large = encoded("x" * 200_000)
        store.start(input=large)
        assert len(store.get().stored_input) == 33
        assert store.start(input=large) is False

    def test_what_is_not_there_is_not_found_in_another_namespace_either(self, store):
        store.start()
        for namespace, execution_id in (("default", "f"), ("elsewhere", "e")):
            with pytest.raises(ExecutionNotFound), store.db.read() as connection:
                executions.get(connection, namespace, execution_id, CODEC.decode)


class TestClaim:
    @pytest.mark.parametrize(
        ("status", "values", "forced", "outcome"),
        [
            ("pending", {}, False, 1),
            ("pending", {"run_after": HOUR}, False, ExecutionClosed),
            ("pending", {"run_after": HOUR}, True, 1),
            ("suspended", {"run_after": None}, False, ExecutionClosed),
            ("suspended", {"run_after": None}, True, 1),
            ("suspended", {"run_after": HOUR}, False, ExecutionClosed),
            ("suspended", {"run_after": -HOUR}, False, 1),
            ("running", {"lease_owner": "x", "lease_expires_at": HOUR}, False, ExecutionBusy),
            ("running", {"lease_owner": "x", "lease_expires_at": HOUR}, True, ExecutionBusy),
            ("running", {"lease_owner": "x", "lease_expires_at": -1.0}, False, 1),
            ("running", {"lease_owner": "gone", "lease_expires_at": HOUR}, False, 1),
            ("succeeded", {}, True, ExecutionClosed),
            ("failed", {}, True, ExecutionClosed),
            ("cancelled", {}, True, ExecutionClosed),
            ("dead", {}, True, ExecutionClosed),
        ],
    )
    def test_who_may_claim_what(self, store, status, values, forced, outcome):
        now = store.db.clock()
        instants = {
            k: now + v if k in {"run_after", "lease_expires_at"} and v is not None else v for k, v in values.items()
        }
        put(store, status, **instants)
        before = store.get()
        if outcome == 1:
            held = store.claim(dead=["gone"], forced=forced, ttl=7)
            found = store.get()
            assert (held.epoch, found.epoch, found.attempts) == (1, 1, 1)
            assert (found.status, found.lease_owner, found.waits_for) == ("running", "me", None)
            assert found.lease_expires_at == pytest.approx(store.db.clock() + 7, abs=2)
            assert held.head == store.verify()
            assert [(r.kind, r.epoch) for r in store.records()] == [("started", 0), ("claimed", 1)]
        else:
            with pytest.raises(outcome):
                store.claim(dead=["gone"], forced=forced)
            assert store.get() == before
            assert len(store.records()) == 1

    def test_a_busy_one_names_its_owner_and_how_long(self, store):
        put(store, "running", lease_owner="box:1", lease_expires_at=store.db.clock() + 20)
        with pytest.raises(ExecutionBusy, match=r"box:1 for another (19|20)\.\d s"):
            store.claim()

    def test_one_that_is_not_there_is_not_found(self, store):
        with pytest.raises(ExecutionNotFound):
            store.claim("nothing")

    def test_each_claim_is_a_new_epoch_and_one_more_attempt(self, store):
        store.start()
        for n in range(1, 4):
            held = store.claim(owner=f"o{n}", dead=[f"o{n - 1}"])
            assert (held.epoch, store.get().attempts) == (n, n)
        assert [record.meta.get("owner") for record in store.records()] == [None, "o1", "o2", "o3"]


class TestRunnable:
    def pick(self, store, *, queues=("default",), apps=("app",), dead=()):
        return store.db.transact(lambda c: claims.runnable(store.db, c, "default", queues, apps, dead))

    def test_the_oldest_of_the_highest_priority_is_next(self, store):
        for name, priority in (("a", 0), ("b", 5), ("c", 5), ("d", -1)):
            store.start(name, priority=priority)
        order = []
        while (found := self.pick(store)) is not None:
            store.claim(found)
            order.append(found)
        assert order == ["b", "c", "a", "d"]

    def test_only_of_these_queues_apps_and_this_namespace(self, store):
        store.start("a", queue="slow")
        store.start("b", app="other")
        store.start("c", namespace="elsewhere")
        assert self.pick(store) is None
        assert self.pick(store, queues=("fast", "slow")) == "a"
        assert self.pick(store, apps=("app", "other")) == "b"

    def test_what_a_dead_owner_held_is_next_at_once(self, store):
        put(store, "running", lease_owner="gone", lease_expires_at=store.db.clock() + HOUR)
        assert self.pick(store) is None
        assert self.pick(store, dead=("gone",)) == "e"

    def test_the_next_instant_at_which_something_will_be_due(self, store):
        def due():
            with store.db.read() as connection:
                return claims.next_due(connection, "default", ("default",))

        assert due() is None
        store.start("later", run_after=5000.0)
        assert due() == 5000.0
        put(store, "running", lease_owner="x", lease_expires_at=4000.0)
        assert due() == 4000.0


class TestRenew:
    def renew(self, store, epochs, owner="me", ttl=90.0):
        return store.db.transact(lambda c: claims.renew(store.db, c, Owner(owner, ttl), epochs))

    def test_all_leases_of_an_owner_in_one_statement(self, store):
        for name in "abc":
            store.start(name)
            store.claim(name)
        assert self.renew(store, dict.fromkeys("abc", 1)) == dict.fromkeys("abc")
        for name in "abc":
            assert store.get(name).lease_expires_at > store.db.clock() + 80

    def test_what_is_not_owned_any_more_is_missing_in_the_answer(self, store):
        for name in "abcd":
            store.start(name)
            store.claim(name)
        store.process().claim("b", owner="other", dead=["me"])
        store.do(executions.finish, "c", 1, status="succeeded")
        assert set(self.renew(store, {"a": 1, "b": 1, "c": 1, "d": 7, "e": 1})) == {"a"}
        assert store.get("b").lease_owner == "other"

    def test_a_wish_to_cancel_comes_with_the_answer(self, store, claimed):
        store.do(executions.request_cancel, "e", "stop", now=store.db.clock())
        store.do(executions.request_cancel, "e", "stop again", now=store.db.clock())
        assert self.renew(store, {"e": 1}) == {"e": "stop"}
        assert store.get().status == "running"


class TestLetGo:
    def test_one_that_waits_has_no_owner_and_no_blame(self, store, claimed):
        suspend(store, wake_at=5000.0, signals=("go", "stop"))
        found = store.get()
        assert (found.status, found.lease_owner, found.lease_expires_at) == ("suspended", None, None)
        assert (found.run_after, found.attempts) == (5000.0, 0)

    @pytest.mark.parametrize("what", ["decided", "signalled", "cancelled"])
    def test_what_came_while_it_was_let_go_wakes_it_up(self, store, claimed, what):
        asked(store)
        if what == "decided":
            decide(store)
        elif what == "signalled":
            store.db.transact(lambda c: signals.send(store.db, c, "e", signals.NewSignal("go", b"1")))
        else:
            store.do(executions.request_cancel, "e", "stop", now=store.db.clock())
        suspend(store, wake_at=5000.0, signals=("go",))
        found = store.get()
        assert found.status == "pending"
        assert found.run_after == pytest.approx(store.db.clock(), abs=2)

    def test_a_decision_it_knew_of_and_did_not_get_to_does_not(self, store, claimed):
        asked(store)
        decide(store)
        suspend(store, seen=("i",))
        assert store.get().status == "suspended"

    def test_a_signal_it_does_not_wait_for_does_not(self, store, claimed):
        store.db.transact(lambda c: signals.send(store.db, c, "e", signals.NewSignal("other", b"1")))
        suspend(store, signals=("go",))
        assert store.get().status == "suspended"

    def test_a_decision_in_the_very_middle_of_it_is_not_lost(self, store, claimed):
        """Decided in a transaction that began before the suspension and commits while that waits for it."""
        asked(store)
        deciding, decided = threading.Event(), threading.Event()

        def person():
            other = store.process()
            decision = NewDecision(encoded({"kind": "approve"}), "d", "alice", anybody)
            with other.db.write() as connection:
                votes.decide(other.db, connection, "default", "i", decision)
                deciding.set()
                decided.wait(0.3)

        thread = threading.Thread(target=person)
        thread.start()
        deciding.wait(20)
        suspend(store)
        thread.join(20)
        assert store.get().status == "pending"

    @pytest.mark.parametrize("what", ["decision", "signal", "cancel", "retry"])
    def test_what_comes_afterwards_makes_it_pending(self, store, claimed, what):
        asked(store)
        suspend(store, signals=("go",))
        match what:
            case "decision":
                decide(store)
            case "signal":
                store.db.transact(lambda c: signals.send(store.db, c, "e", signals.NewSignal("go", b"1")))
            case "cancel":
                store.do(executions.request_cancel, "e", "stop", now=store.db.clock())
            case "retry":
                assert store.do(executions.retry, "e", now=store.db.clock())
        assert store.get().status == "pending"
        assert store.claim().epoch == 2

    def test_one_that_is_given_back_is_pending_from_then_on_and_blamed_or_not(self, store, claimed):
        store.do(executions.release, "e", 1, run_after=5000.0, blameless=False)
        found = store.get()
        assert (found.status, found.run_after, found.attempts, found.lease_owner) == ("pending", 5000.0, 1, None)
        store.claim()
        store.do(executions.release, "e", 2, run_after=5000.0)
        assert store.get().attempts == 0

    @pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled", "dead"])
    def test_one_that_ends_closes_its_questions(self, store, claimed, status):
        asked(store, "open")
        asked(store, "decided")
        decide(store, "decided")
        finish(store, status)
        with store.db.read() as connection:
            found = interrupts.find(connection, "default", CODEC.decode, execution_id="e")
        assert [interrupt.status for interrupt in found] == ["cancelled", "cancelled"]
        assert (store.get().status, store.get().ended, store.get().lease_owner) == (status, True, None)

    @pytest.mark.parametrize(
        "change",
        [
            lambda store: suspend(store),
            lambda store: finish(store, "succeeded"),
            lambda store: store.do(executions.release, "e", 1, run_after=0.0),
        ],
        ids=["suspend", "finish", "release"],
    )
    def test_a_stale_owner_changes_nothing(self, store, claimed, change):
        store.process().claim(owner="other", dead=["me"])
        before = store.get()
        with pytest.raises(LeaseLost):
            change(store)
        assert store.get() == before


class TestRetry:
    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            ("failed", True),
            ("dead", True),
            ("suspended", True),
            ("pending", False),
            ("running", False),
            ("succeeded", False),
            ("cancelled", False),
        ],
    )
    def test_what_may_be_tried_again(self, store, status, expected):
        put(store, status, error='{"type": "E", "message": "m"}', finished_at=1.0, attempts=4, cancel_reason="late")
        assert store.do(executions.retry, "e", now=store.db.clock()) is expected
        found = store.get()
        if expected:
            assert (found.status, found.error, found.finished_at) == ("pending", None, None)
            assert (found.attempts, found.cancel_reason) == (0, None)
        else:
            assert (found.status, found.attempts) == (status, 4)

    def test_not_while_another_one_is_open_on_its_thread(self, store):
        put(store, "failed", thread="t")
        store.start("f", thread="t")
        with pytest.raises(ThreadBusy):
            store.do(executions.retry, "e", now=store.db.clock())
        assert store.get().status == "failed"


def test_owners_and_queues_are_those_of_what_is_open(store):
    store.start("a", queue="q1")
    store.start("b", queue="q2")
    store.claim("b")
    store.start("c", queue="q3")
    store.claim("c", owner="other")
    store.do(executions.finish, "c", 1, status="succeeded")
    with store.db.read() as connection:
        assert claims.owners(connection, "default") == {"me"}
        assert claims.queues(connection, "default") == ["q1", "q2"]
        assert claims.queues(connection, "elsewhere") == []


def test_leases_are_on_the_clock_of_the_database_and_not_of_the_process(store):
    """A process whose clock is wrong by an hour neither loses its leases nor steals those of others."""
    store.start()
    wrong = store.process()
    wrong.db._clock = (wrong.db.clock() + HOUR, 0.0)
    wrong.claim(owner="wrong", ttl=30.0)
    found = store.get()
    assert found.lease_expires_at == pytest.approx(store.db.clock() + 30, abs=5)
    with pytest.raises(ExecutionBusy):
        store.claim()
    until(lambda: abs(wrong.db.clock() - store.db.clock()) < 5)
