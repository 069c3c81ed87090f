"""Decisions of several processes at once: never two effects, never none without a reason that can be seen."""

from __future__ import annotations

from collections import Counter

import pytest

from durable import Approval, Decision, Runtime
from durable.checkpoint.database import Database
from durable.errors import (
    AlreadyDecided,
    DecisionExpired,
    ExecutionBusy,
    ExecutionClosed,
    NotAllowedToDecide,
)
from tests.races.racers import paying, race
from tests.world import HOUR, intact, kinds

ROUNDS = 6


def gated(runtime, ledger, approval):
    """A durable function with one gated effect, which can be undone."""

    def undo(arguments, result):
        ledger.did(f"undo {arguments['amount']}")

    return paying(runtime, ledger, approval=approval, compensate=undo)


@pytest.fixture
def asked(database_url, ledger):
    """Asks for ``count`` payments; nobody is connected afterwards: the url, and the interrupts by execution."""

    def ask(approval, count):
        with gated(Runtime(database_url), ledger, approval) as runtime:
            found = {f"e{n}": runtime.run("app", {"amount": n}, id=f"e{n}").interrupts[0].id for n in range(count)}
        return database_url, found

    return ask


def told(call, *expected):
    """What came of it, in a word."""
    try:
        call()
    except expected as exc:
        return type(exc).__name__
    return "done"


def test_approval_cancellation_and_expiry_at_once(asked, ledger):
    gate = Approval(expires_in=HOUR)
    url, questions = asked(gate, ROUNDS)

    def approve(runtime, meet):
        came = {}
        for name, question in questions.items():
            meet()
            yes = Decision.approve()
            came[name] = told(lambda: runtime.decide(question, yes, by="alice"), AlreadyDecided, DecisionExpired)  # noqa: B023 - called at once
        return came

    def cancel(runtime, meet):
        gated(runtime, ledger, gate)
        came = {}
        for place, name in enumerate(questions):
            meet()
            for _ in range(3 * (place % 4)):  # it comes at another moment each time
                runtime.get(name)
            came[name] = told(lambda: runtime.get(name).cancel("no", compensate=True), ExecutionClosed)  # noqa: B023
        return came

    def expire(_, meet):
        """A worker for which the time is over."""
        late = Runtime(database=Database(url, clock_offset=HOUR + 1))
        with gated(late, ledger, gate) as runtime:
            for name in questions:
                meet()
                told(lambda: runtime.drive(runtime.app("app"), name), ExecutionBusy)  # noqa: B023
        return {}

    approved, cancelled, expired = race(url, approve, cancel, expire)
    assert (approved.said, cancelled.said, expired.said) == ("", "", "")
    ends = Counter()
    with gated(Runtime(database=Database(url, clock_offset=HOUR + 2)), ledger, gate) as runtime:
        runtime.recover()  # its clock is past that of the late worker, which may have put something off
        lines = Counter(ledger.lines())
        for place, name in enumerate(questions):
            handle, paid, undone = runtime.get(name), lines[f"pay {place}"], lines[f"undo {place}"]
            (question,) = handle.interrupts()
            assert paid <= 1
            if handle.status == "cancelled":
                end = "undone" if paid else "cancelled"
                assert cancelled.value[name] == "done"
                assert undone == paid  # what came before the cancellation is undone, once
                assert question.status in {"cancelled", "consumed", "expired"}
            else:
                end = "paid" if paid else "expired"
                assert (handle.status, undone) == ("succeeded", 0)
                assert handle.result(0) == (f"pay {place}" if paid else "not paid: nobody decided in time")
                assert question.status == ("consumed" if paid else "expired")
            if paid:
                assert approved.value[name] == "done"
            if approved.value[name] != "done":
                assert [vote["refused"] for vote in question.votes] == [approved.value[name]]
            ends[end] += 1
            intact(handle)
    assert ends.total() == ROUNDS


def test_of_two_quorums_that_share_a_person_one_is_reached(asked, ledger):
    gate = Approval(quorum=4)
    url, questions = asked(gate, 1)
    (question,) = questions.values()
    answers = [(who, Decision.approve()) for who in "abcd"] + [(who, Decision.edit({"amount": 9})) for who in "defg"]

    def vote(who, decision):
        def work(runtime, meet):
            meet()
            return runtime.decide(question, decision, by=who)

        return work

    ended = race(url, *[vote(*answer) for answer in answers])
    assert {one.error for one in ended} == {None, "AlreadyDecided"}
    with gated(Runtime(url), ledger, gate) as runtime:
        found = runtime.interrupt(question)
        counted = Counter(vote["digest"] for vote in found.votes if "refused" not in vote)
        assert max(counted.values()) == 4
        assert len({vote["by"] for vote in found.votes if "refused" not in vote}) == counted.total()
        assert len(found.votes) == len(answers)  # those that came too late among them
        assert len(runtime.recover()) == 1
        assert ledger.lines() == (["pay 0"] if found.decision["kind"] == "approve" else ["pay 9"])
        assert kinds(runtime.get("e0")).count("interrupt_closed") == 1
        intact(runtime.get("e0"))


def test_a_vote_that_is_handed_on_while_it_is_given_counts_once(asked, ledger):
    gate = Approval(approvers=("alice", "carol"), quorum=2)
    url, questions = asked(gate, ROUNDS)

    def each(act):
        def work(runtime, meet):
            came = {}
            for name, question in questions.items():
                meet()
                came[name] = told(lambda: act(runtime, question), AlreadyDecided, NotAllowedToDecide)  # noqa: B023
            return came

        return work

    ended = race(
        url,
        each(lambda runtime, question: runtime.delegate(question, to="bob", by="alice")),
        each(lambda runtime, question: runtime.decide(question, Decision.approve(), by="alice")),
        each(lambda runtime, question: runtime.decide(question, Decision.approve(), by="bob")),
    )
    assert [one.said for one in ended if one.error] == []
    handed, alice, bob = (one.value for one in ended)
    with gated(Runtime(url), ledger, gate) as runtime:
        for name, question in questions.items():
            found = runtime.interrupt(question)
            assert found.status == "open"
            assert [handed[name], alice[name]].count("done") == 1
            assert [alice[name], bob[name]].count("done") <= 1
            runtime.decide(question, Decision.approve(), by="carol")
            voices = [alice[name], bob[name]].count("done")
            assert runtime.interrupt(question).status == ("decided" if voices else "open")
    assert ledger.lines() == []
