"""The inbox: the first decision wins, the same one again changes nothing, what is too late is told so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from durable.checkpoint import executions
from durable.checkpoint.inbox import interrupts, votes
from durable.checkpoint.inbox.interrupts import NewInterrupt
from durable.checkpoint.inbox.votes import NewDecision
from durable.checkpoint.records import NewRecord
from durable.errors import AlreadyDecided, DecisionExpired, InterruptNotFound, LeaseLost
from tests.checkpoint.conftest import CODEC, encoded

HOUR = 3600.0


@pytest.fixture
def opened(store, claimed):
    def open_one(interrupt_id="i", **changes):
        new = NewInterrupt(
            **{
                "id": interrupt_id,
                "namespace": "default",
                "execution_id": "e",
                "step_key": "pay#1",
                "kind": "approval",
                "subject": encoded({"arguments": {"n": 1}, "tool": "pay"}),
                "tool": "pay",
                "arguments_hash": "h",
                "rule": "always",
                **changes,
            }
        )
        claimed.append(NewRecord("interrupt_opened", "pay#1"), companions=[interrupts.opening(store.db, new)])
        return read(store, interrupt_id)

    return open_one


def read(store, interrupt_id="i", namespace="default"):
    with store.db.read() as connection:
        return interrupts.get(connection, namespace, interrupt_id, CODEC.decode)


def anybody(*_):
    """Whoever decides, may."""


def decide(store, kind="approve", by="alice", interrupt_id="i", **more):
    decision = NewDecision(encoded({"kind": kind}), kind, by, anybody, **more)
    return store.db.transact(lambda c: votes.decide(store.db, c, "default", interrupt_id, decision))


def test_what_was_asked_is_read_back(store, opened):
    found = opened(expires_at=5000.0)
    assert (found.kind, found.status, found.tool, found.rule, found.expires_at) == (
        "approval",
        "open",
        "pay",
        "always",
        5000.0,
    )
    assert found.arguments == {"n": 1}
    assert (found.decision, found.decided_by, found.votes) == (None, None, ())


def test_the_first_decision_counts_and_wakes_the_execution(store, opened):
    opened()
    store.do(executions.suspend, "e", 1, wake_at=None, signals=(), now=store.db.clock())
    assert decide(store, comment="fine") is True
    found = read(store)
    assert (found.status, found.decision, found.decided_by, found.comment) == (
        "decided",
        {"kind": "approve"},
        "alice",
        "fine",
    )
    assert found.decided_at == pytest.approx(store.db.clock(), abs=5)
    assert store.get().status == "pending"


def test_the_same_person_with_the_same_answer_changes_nothing(store, opened):
    opened()
    decide(store, comment="first")
    before = read(store)
    assert decide(store, comment="second") is False
    after = read(store)
    assert replace(after, votes=before.votes) == before
    assert [vote.get("refused") for vote in after.votes] == [None, "repeated"]  # it is kept all the same


@pytest.mark.parametrize(("kind", "by"), [("reject", "alice"), ("approve", "bob"), ("reject", "bob")])
def test_any_other_decision_is_told_who_came_first(store, opened, kind, by):
    opened()
    decide(store)
    before = read(store)
    with pytest.raises(AlreadyDecided, match="already decided by alice"):
        decide(store, kind, by)
    assert read(store) == before


def test_a_decision_that_was_used_up_is_still_the_same_and_still_the_first(store, opened, claimed):
    asked = opened()
    decide(store)
    claimed.append(NewRecord("interrupt_closed", "pay#1"), companions=[interrupts.consuming(asked)])
    assert read(store).status == "consumed"
    assert decide(store) is False
    with pytest.raises(AlreadyDecided, match="already consumed by alice"):
        decide(store, "reject")


@pytest.mark.parametrize("before", ["open", "decided"])
def test_after_the_end_of_the_execution_every_decision_is_too_late(store, opened, before):
    opened()
    if before == "decided":
        decide(store)
    store.do(executions.finish, "e", 1, status="cancelled")
    for kind in ("approve", "reject"):
        with pytest.raises(AlreadyDecided, match="already cancelled"):
            decide(store, kind)


def test_past_its_time_it_cannot_be_decided_but_one_decided_in_time_stays_so(store, opened):
    opened(expires_at=store.db.clock() + HOUR)
    opened("j", expires_at=store.db.clock() + HOUR)
    decide(store, interrupt_id="j")
    later = store.process(clock_offset=HOUR + 1)
    with pytest.raises(DecisionExpired, match="'i'"):
        decide(later)
    assert decide(later, interrupt_id="j") is False
    with pytest.raises(AlreadyDecided):
        decide(later, "reject", interrupt_id="j")
    assert (read(store).status, read(store, "j").status) == ("open", "decided")


def test_expiring_and_deciding_exclude_each_other(store, opened, claimed):
    asked = opened(expires_at=store.db.clock() - 1)
    with pytest.raises(DecisionExpired):
        decide(store)
    claimed.append(NewRecord("interrupt_closed", "pay#1"), companions=[interrupts.expiring(asked, store.db)])
    assert read(store).status == "expired"
    with pytest.raises(DecisionExpired):
        decide(store)
    decided = opened("j", expires_at=store.db.clock() + HOUR)
    decide(store, interrupt_id="j")
    store.db.clock_offset = 2 * HOUR
    store.db._clock = None
    with pytest.raises(LeaseLost):
        claimed.append(NewRecord("interrupt_closed", "pay#1"), companions=[interrupts.expiring(decided, store.db)])
    assert read(store, "j").status == "decided"


def test_a_decision_is_used_up_once(store, opened, claimed):
    asked = opened()
    with pytest.raises(LeaseLost):
        claimed.append(NewRecord("interrupt_closed", "pay#1"), companions=[interrupts.consuming(asked)])
    decide(store)
    length = len(store.records())
    claimed.append(NewRecord("interrupt_closed", "pay#1"), companions=[interrupts.consuming(asked)])
    with pytest.raises(LeaseLost):
        claimed.append(NewRecord("interrupt_closed", "pay#1"), companions=[interrupts.consuming(asked)])
    assert len(store.records()) == length + 1


@pytest.mark.parametrize("before", ["open", "decided"])
def test_a_question_nobody_needs_any_more_is_taken_back(store, opened, claimed, before):
    opened()
    if before == "decided":
        decide(store)
    claimed.append(NewRecord("interrupt_closed", "pay#1"), companions=[interrupts.withdrawing("i")])
    assert read(store).status == "cancelled"


def test_what_is_not_there_or_in_another_namespace_is_not_found(store, opened):
    opened()
    with pytest.raises(InterruptNotFound, match="durable approvals list"):
        decide(store, interrupt_id="nothing")
    with pytest.raises(InterruptNotFound):
        read(store, namespace="elsewhere")
    with pytest.raises(InterruptNotFound):
        decision = NewDecision(encoded({"kind": "approve"}), "approve", "mallory", anybody)
        store.db.transact(lambda c: votes.decide(store.db, c, "elsewhere", "i", decision))
    assert read(store).status == "open"


def test_large_questions_and_answers_stand_in_blobs(store, opened):
    large = encoded({"arguments": {"text": "x" * 200_000}})
    found = opened(subject=large)
    assert len(found.stored_subject) == 33
    answer = encoded({"kind": "respond", "value": "y" * 200_000})
    store.db.transact(lambda c: votes.decide(store.db, c, "default", "i", NewDecision(answer, "d", "alice", anybody)))
    assert len(read(store).stored_decision) == 33
    with store.db.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM blobs")).scalar() == 2


def test_the_inbox_is_in_the_order_of_asking_and_can_be_narrowed(store, opened):
    for n in range(5):
        opened(f"i{n}", kind="question" if n % 2 else "approval", tool="pay" if n < 3 else "send")
    decide(store, interrupt_id="i0")

    def ids(**filters):
        with store.db.read() as connection:
            return [found.id for found in interrupts.find(connection, "default", CODEC.decode, **filters)]

    assert ids() == ["i0", "i1", "i2", "i3", "i4"]
    assert ids(status=("open",)) == ["i1", "i2", "i3", "i4"]
    assert ids(tool="send") == ["i3", "i4"]
    assert ids(kind="question") == ["i1", "i3"]
    assert ids(execution_id="other") == []
    assert ids(limit=2) == ["i0", "i1"]
    assert ids(limit=None) == ids()
