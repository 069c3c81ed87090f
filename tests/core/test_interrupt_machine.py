"""The life cycle of an interrupt as a state machine: whatever people, time and crashes do to it, a model in plain Python agrees.

One gated ``once`` call. People decide, repeat themselves, come late, or answer while it is being driven; it is cancelled,
expires, is driven, fails, is retried, and its process dies before the decision is delivered or in the middle of the call.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event, update

from durable import Approval, Decision, Runtime, current, tool
from durable.checkpoint import claims
from durable.checkpoint.claims import Owner
from durable.checkpoint.database import Database
from durable.checkpoint.inbox import interrupts, votes
from durable.errors import (
    AlreadyDecided,
    DecisionExpired,
    ExecutionBusy,
    ExecutionClosed,
    InvalidDecision,
    LeaseLost,
)
from durable.inbox.ask import Answer
from durable.run.handle import Handle
from durable.step.gates import approval, doubt
from tests.postgres import MEMORY
from tests.world import Died, crashed

LEASE, EXPIRES_IN = 3000.0, 10_000.0
A_WHILE, LONG = 4000.0, 20_000.0
"""Seconds: the first outlasts a lease, the second an interrupt too; the time a slow machine takes does not matter."""

EXAMPLES, STEPS = 600, 8
PEOPLE = st.sampled_from(["alice", "bob"])
ANSWERS = st.sampled_from(
    [
        Decision.approve(),
        Decision.edit({"order": "o-7", "amount": 70}),
        Decision.edit({"order": "o-8", "amount": 1}),
        Decision.reject("too much"),
        Decision.respond("paid in cash"),
    ]
)
FAULTS = st.sampled_from([None, "dies after", "dies before", "fails"])
ASKED_FOR = {"order": "o-7", "amount": 100}


class Place:
    """One database file with the executions of all examples, its clock, and what the calls did outside."""

    def __init__(self, url):
        self.database = Database(url, synchronous="NORMAL")
        self.dead = False
        event.listen(self.database.engine, "begin", self._unless_dead)
        self.runtime = Runtime(database=self.database, lease=LEASE, max_attempts=100_000)
        self.effects = {}
        self.faults = {}
        self.meanwhile = {}
        self.examples = 0
        self.seen = set()

        def pay(order, amount):
            execution = current().execution_id
            fault = self.faults.get(execution)
            if fault == "dies before":
                self.die()
            if fault == "fails":
                raise ValueError("declined")
            self.effects[execution].append({"order": order, "amount": amount})
            if fault == "dies after":
                self.die()
            return f"paid {amount}"

        for name, gate in (("patient", Approval()), ("soon", Approval(expires_in=EXPIRES_IN))):
            self._define(name, tool(approval=gate)(pay))

    def _define(self, name, paying):
        @self.runtime.function(name)
        def app():
            self.meanwhile.pop(current().execution_id, lambda: None)()
            return paying(**ASKED_FOR)

    def _unless_dead(self, *_):
        if self.dead:
            raise Died

    def die(self):
        self.dead = True
        raise Died

    def move(self, seconds):
        self.database.clock_offset += seconds
        self.database._clock = None

    def claim(self, execution):
        """Another process claims the execution and is never heard of again."""
        db, owner = self.database, Owner("a process that dies", LEASE)
        db.transact(lambda connection: claims.claim(db, connection, "default", execution, owner, forced=True))


@dataclass
class Question:
    """What the model knows of an interrupt."""

    kind: str
    expires_at: float | None
    id: str = ""
    decision: Decision | None = None
    by: str | None = None
    status: str = "open"


class InterruptMachine(RuleBasedStateMachine):
    place: Place

    @initialize(app=st.sampled_from(["patient", "soon"]), gives_up=st.booleans())
    def open_a_gated_call(self, app, gives_up):
        self.gives_up = gives_up  # what becomes of a doubt that nobody has settled at the end
        self.app = app
        self.place.examples += 1
        self.id = f"{app}-{self.place.examples}"
        self.handle = Handle(self.place.runtime, self.id)
        self.effects = self.place.effects[self.id] = []
        self.questions = []
        self.next = "ask"  # or "answer" the last question, make the "call", find it in "doubt"
        self.ended = None
        self.cancelling = False
        self.held_until = 0.0
        self.allowed = None
        self._drive()

    # what people, time and processes do

    @rule(decision=ANSWERS, by=PEOPLE, back=st.sampled_from([1, 1, 1, 2, 3]))
    def decide(self, decision, by, back):
        """Also on questions that are closed, and on ones of another kind."""
        question = self.questions[-min(back, len(self.questions))]
        self._decide(question, decision, by)

    @precondition(lambda self: self.questions[-1].kind == "in_doubt")
    @rule(by=PEOPLE, cancels=st.sampled_from([False, False, True]))
    def settle_the_doubt(self, by, cancels):
        self._decide(self.questions[-1], Decision.cancel("enough") if cancels else self._truth(), by)

    @precondition(lambda self: any(question.decision for question in self.questions))
    @rule()
    def repeat_the_same_decision(self):
        question = next(question for question in reversed(self.questions) if question.decision)
        self._decide(question, question.decision, question.by)

    @precondition(lambda self: not self.ended)
    @rule(fault=FAULTS)
    def drive(self, fault):
        self._drive(fault)

    @precondition(lambda self: self.waits_for_approval and not self.held)
    @rule(decision=ANSWERS, by=PEOPLE, fault=FAULTS)
    def decide_and_drive(self, decision, by, fault):
        self._decide(self.questions[-1], decision, by)
        self._drive(fault)

    @precondition(lambda self: self.held)
    @rule()
    def recover_when_the_lease_is_over(self):
        self.place.move(LEASE + 1)
        self._drive()

    @rule(seconds=st.sampled_from([A_WHILE, A_WHILE, LONG]))
    def time_passes(self, seconds):
        self.place.move(seconds)

    @precondition(lambda self: not self.ended and not self.held)
    @rule()
    def a_process_claims_and_dies(self):
        self.place.claim(self.id)
        self.held_until = self.now + LEASE

    @rule()
    def retry(self):
        if self.ended in {"succeeded", "cancelled"} or (
            not self.ended and self.handle.status in {"pending", "running"}
        ):
            with pytest.raises(ExecutionClosed):
                self.handle.retry()
            return
        self.handle.retry()
        self.ended, self.cancelling = None, False

    @rule(how=st.sampled_from(["not yet", "not yet", "not yet", "now", "while it is driven"]))
    def cancel(self, how):
        """Rarely meant: what is cancelled is at its end."""
        if how == "not yet":
            return
        if self.ended in {"succeeded", "failed"}:
            with pytest.raises(ExecutionClosed):
                self.handle.cancel("no longer needed")
        elif how == "while it is driven" and not self.ended and not self.held:
            self.place.meanwhile[self.id] = self.cancel_from_within
            self.cancelling = True
            self._drive()
        else:
            self.handle.cancel("no longer needed")
            self.cancelling = True
            if not self.held:
                self._advance(None)
                self.questions[-1].id = self.questions[-1].id or self.handle.interrupts()[-1].id

    def cancel_from_within(self):
        self.handle.cancel("no longer needed")

    @precondition(lambda self: self.waits_for_approval and not self.held and not self.cancelling)
    @rule(decision=ANSWERS, by=PEOPLE, late=st.booleans())
    def decide_while_it_is_driven(self, decision, by, late):
        """The segment began with an open question; if ``late``, it also expires before the segment gets to it."""
        question = self.questions[-1]

        def meanwhile():
            self._decide(question, decision, by)
            if late:
                self.place.move(LONG)

        self.place.meanwhile[self.id] = meanwhile
        if late and question.expires_at is not None and not self._over(question):
            with pytest.raises(LeaseLost):  # the expiry came second: nothing of it is written
                self._run()
            assert question.decision == decision
            return
        result = self._run()
        assert result.status == self._advance(None)

    # the model

    @property
    def now(self):
        return self.place.database.clock()

    @property
    def held(self):
        return self.now < self.held_until

    @property
    def waits_for_approval(self):
        question = self.questions[-1]
        return not self.ended and question.kind == "approval" and question.status == "open" and not question.decision

    def _truth(self):
        return Decision.happened("paid") if self.effects else Decision.did_not_happen()

    def _over(self, question):
        return question.expires_at is not None and self.now >= question.expires_at

    def _run(self):
        return self.place.runtime.run(self.app, id=self.id)

    def _decide(self, question, decision, by):
        def decided():
            return self.place.runtime.decide(question.id, decision, by=by)

        if decision.kind not in Decision.FITS[question.kind]:
            refused = InvalidDecision
        elif question.status == "expired" or (
            question.decision is None and question.status == "open" and self._over(question)
        ):
            refused = DecisionExpired
        elif question.status == "cancelled":
            refused = AlreadyDecided
        elif question.decision is None:
            assert decided() is True
            question.decision, question.by = decision, by
            if self.cancelling and not self.held and not self.ended:
                self._advance(None)  # by the process in which it was decided
            return
        elif (question.decision, question.by) == (decision, by):
            assert decided() is False
            return
        else:
            refused = AlreadyDecided
        with pytest.raises(refused):
            decided()

    def _drive(self, fault=None):
        if not self.ended and self.held:
            with pytest.raises(ExecutionBusy):
                self._run()
            return
        self.place.faults[self.id] = fault
        known = len(self.questions)
        expected = self._advance(fault)
        if expected == "died":
            crashed(self._run)
            self.place.dead = False
        else:
            result = self._run()
            assert result.status == expected
            if len(self.questions) > known:
                (self.questions[-1].id,) = [asked.id for asked in result.interrupts]
        self.place.faults[self.id] = None

    def _advance(self, fault):
        """What driving it must come to."""
        if self.ended:
            return self.ended
        if self.cancelling:
            return self._cancelled()
        if self.next in {"ask", "doubt"}:
            in_doubt = self.next == "doubt"
            expires_at = self.now + EXPIRES_IN if self.app == "soon" and not in_doubt else None
            self.questions.append(Question("in_doubt" if in_doubt else "approval", expires_at))
            self.next = "answer"
            return "suspended"
        return self._called(fault) if self.next == "call" else self._answered(fault)

    def _cancelled(self):
        """A doubt outlives the cancellation: the execution closes when it is answered."""
        last = self.questions[-1]
        if self.next == "doubt":
            self.questions.append(Question("in_doubt", None))
            self.next = "answer"
            return "suspended"
        if last.kind == "in_doubt" and last.status == "open":
            if last.decision is None:
                return "suspended"
            last.status = "consumed"
        return self._end("cancelled")

    def _answered(self, fault):
        question = self.questions[-1]
        if question.decision is None:
            if not self._over(question):
                return "suspended"
            question.status, self.next = "expired", "ask"
            return self._end("failed")
        question.status = "consumed"
        match question.decision.kind:
            case "reject":
                self.next = "ask"
                return self._end("failed")
            case "respond" | "happened":
                return self._end("succeeded")
            case "cancel":
                return self._end("cancelled")
            case "approve":
                self.allowed = ASKED_FOR
            case "edit":
                self.allowed = question.decision.value
        return self._called(fault)

    def _called(self, fault):
        if fault == "fails":
            self.next = "call"
            return self._end("failed")
        if fault is not None:
            self.next, self.held_until = "doubt", self.now + LEASE
            return "died"
        return self._end("succeeded")

    def _end(self, status):
        self.ended = status
        for question in self.questions:
            if question.status == "open":
                question.status = "cancelled"
        return status

    # what must hold

    @invariant()
    def at_most_one_effect_and_only_the_one_that_was_decided(self):
        assert self.effects in ([], [self.allowed])

    def teardown(self):
        if not hasattr(self, "questions"):
            return
        if not self.ended:
            self.place.move(LEASE + 1)
            self._drive()
        if self.questions[-1].kind == "in_doubt" and self.questions[-1].status == "open":
            self._decide(self.questions[-1], Decision.cancel("enough") if self.gives_up else self._truth(), "alice")
        self._drive()  # what has ended stays as it is, what is not decided goes on waiting
        self.at_most_one_effect_and_only_the_one_that_was_decided()
        stored = {asked.id: asked for asked in self.handle.interrupts()}
        assert stored.keys() == {question.id for question in self.questions}
        history = self.handle.history()
        assert self.handle.verify() == len(history)
        closed = [record.payload for record in history if record.kind == "interrupt_closed"]
        for question in self.questions:
            asked = stored[question.id]
            self.place.seen.add((question.kind, question.status, question.decision and question.decision.kind))
            told = [(record["decision"], record["by"]) for record in closed if record["interrupt"] == question.id]
            if question.decision is None:
                assert (asked.status, asked.decided_by, asked.decision) == (question.status, None, None)
                assert told == ([("reject", "timer")] if question.status == "expired" else [])
                continue
            first = {
                "kind": question.decision.kind,
                "value": question.decision.value,
                "reason": question.decision.reason,
            }
            assert (asked.decision, asked.decided_by) == (first, question.by)
            assert asked.status == question.status
            assert asked.status in {"consumed", "cancelled"}, "an accepted decision was neither delivered nor cancelled"
            assert told == ([(question.decision.kind, question.by)] if asked.status == "consumed" else [])


def explore(place, **changes):
    """Run the machine on this place; raises what it found."""
    machine = type("TheMachine", (InterruptMachine,), {"place": place})
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=settings(chosen, **changes))


@pytest.fixture
def place(sqlite_template):
    """In memory where there is some: thousands of commits on a disk would only take time."""
    with TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        path = Path(shutil.copy(sqlite_template, folder))
        made = Place(f"sqlite:///{path}")
        yield made
        made.runtime.close()


REACHED = {
    *(("approval", "consumed", kind) for kind in Decision.FITS["approval"]),
    *(("in_doubt", "consumed", kind) for kind in Decision.FITS["in_doubt"]),
    ("approval", "open", None),
    ("approval", "expired", None),
    ("approval", "cancelled", None),
}
"""Ends of interrupts that a run must have come to, or it has proven little."""


@pytest.mark.timeout(400)
def test_the_life_of_an_interrupt_is_as_its_model_says(place):
    explore(place)
    assert place.examples >= EXAMPLES
    assert place.seen >= REACHED
    assert any(status == "cancelled" and decision for _, status, decision in place.seen)
    assert sum(map(bool, place.effects.values())) > EXAMPLES / 10


def effect_on_an_open_question(monkeypatch):
    genuine = approval.standing

    def standing(segment, outcome):
        asked = segment.interrupt(outcome.interrupt or "")
        if asked is not None and asked.status == "open":
            return Answer(asked, Decision.approve())
        return genuine(segment, outcome)

    monkeypatch.setattr(approval, "standing", standing)
    monkeypatch.setattr(interrupts, "consuming", lambda _: lambda _: None)


def a_consumption_that_does_not_check_the_status(monkeypatch):
    monkeypatch.setattr(interrupts, "consuming", lambda _: lambda _: None)


def a_last_decision_that_wins(monkeypatch):
    genuine = votes.decide

    def decide(db, connection, namespace, interrupt_id, decision):
        again = interrupts.C.status.in_(("decided", "consumed"))
        connection.execute(update(interrupts.T).where(interrupts.C.id == interrupt_id, again).values(status="open"))
        return genuine(db, connection, namespace, interrupt_id, decision)

    monkeypatch.setattr(votes, "decide", decide)


def an_expiry_that_ignores_a_decision(monkeypatch):
    def expiring(interrupt, _):
        expired = update(interrupts.T).where(interrupts.C.id == interrupt.id).values(status="expired")
        return lambda connection: connection.execute(expired)

    monkeypatch.setattr(interrupts, "expiring", expiring)


def a_doubt_that_is_not_asked_about(monkeypatch):
    monkeypatch.setattr(doubt, "applies", lambda _: False)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "plant",
    [
        effect_on_an_open_question,
        a_consumption_that_does_not_check_the_status,
        a_last_decision_that_wins,
        an_expiry_that_ignores_a_decision,
        a_doubt_that_is_not_asked_about,
    ],
)
def test_the_machine_finds_a_planted_bug(place, monkeypatch, plant):
    plant(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, BaseExceptionGroup)):
        explore(place, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
