"""What is decided about a call, gate by gate: without a database, over a journal in memory."""

from __future__ import annotations

import pytest

from durable import Approval, Budget, Decision, Retry, ToolPolicy
from durable.checkpoint.pace.circuits import Circuit
from durable.declare.breaker import Breaker
from durable.declare.policy import Done, NotDone, Unknown
from durable.declare.rate import Rate
from durable.errors import BudgetExceeded, Cancelled, Suspended
from durable.live.scope import here
from durable.record.kinds import AGENT, FUNCTION, KINDS, MODEL, NODE, STEP, TASK, TOOL
from durable.step import begin
from durable.step.attempt import Ended
from durable.step.begin import begin_step, place, verdict_on
from durable.step.call import Call, Pending, Recorded
from durable.step.complete import complete_step
from durable.step.verdicts import Finished, Pass, Stop, Wait
from durable.testing.memory import MemoryProcess

ONCE, READ, IDEMPOTENT = (ToolPolicy(effect) for effect in ("once", "read", "idempotent"))
PRICES = {"m": {"input": 1.0, "output": 1.0}}


@pytest.fixture
def memory():
    return MemoryProcess()


def call(policy=ONCE, arguments=None, *, name="pay", identity="a", kind=TOOL, **more):
    return Call(name, arguments, policy, identity, kind=kind, scope=here(), **more)


def begun(policy=ONCE, *args, **more):
    return begin_step(place(call(policy, *args, **more)))


def done(policy=ONCE, *args, value="paid", **more):
    step = begun(policy, *args, **more)
    assert complete_step(step, Ended(value), 0.1)


def verdict(memory, policy=ONCE, *args, **more):
    """What the gates say, and what they have written by saying it."""
    with memory.claimed():
        before = len(memory.records)
        return verdict_on(place(call(policy, *args, **more))), len(memory.records) - before


def started(memory, policy=ONCE, *args, **more):
    """A process that dies in the middle of the call."""
    with memory.claimed():
        assert isinstance(begun(policy, *args, **more), Pending)


def asked(memory, policy=ONCE, *args, **more):
    """A process that asks, and waits."""
    with memory.claimed(), pytest.raises(Suspended):
        begun(policy, *args, **more)
    memory.release()
    return memory.asked[-1]


def test_no_gate_writes_or_raises(memory):
    started(memory)
    verdicts = [
        verdict(memory, ToolPolicy(reconcile=lambda *_, answer=answer: answer), identity=identity)
        for identity in ("a", "new")
        for answer in (Done(1), NotDone(), Unknown())
    ]
    assert [written for _, written in verdicts] == [0] * 6


def test_a_call_that_is_recorded_is_answered_by_its_record(memory):
    with memory.claimed():
        done(value="paid")
    with memory.claimed():
        assert begun().result() == "paid"
    assert memory.kinds == ["step_started", "step_done"]


def test_a_read_runs_without_a_word_before_it_and_an_effect_is_announced(memory):
    with memory.claimed():
        begun(READ, identity="r")
        begun(IDEMPOTENT, identity="i")
        assert memory.kinds == []
        begun(ONCE, identity="o")
        assert memory.kinds == ["step_started"]


def test_a_call_with_other_arguments_is_drift(memory):
    with memory.claimed():
        done(arguments=1)
    found, _ = verdict(memory, ONCE, 2)
    assert isinstance(found, Wait)
    assert [record.kind for record in found.batch.records] == ["interrupt_opened"]
    interrupt = asked(memory, ONCE, 2)
    assert interrupt.kind == "drift"
    memory.decide(interrupt.id, Decision.approve())
    with memory.claimed():
        assert isinstance(begun(ONCE, 2), Recorded)


def test_drift_that_is_refused_ends_the_execution(memory):
    with memory.claimed():
        done(arguments=1)
    memory.decide(asked(memory, ONCE, 2).id, Decision.cancel("no"))
    found, _ = verdict(memory, ONCE, 2)
    assert isinstance(found, Stop)
    with memory.claimed(), pytest.raises(Cancelled, match="no"):
        begun(ONCE, 2)


def test_a_question_about_drift_is_taken_back_when_the_code_fits_again(memory):
    with memory.claimed():
        done(arguments=1)
    asked(memory, ONCE, 2)
    with memory.claimed():
        assert begun(ONCE, 1).result() == "paid"
    assert memory.kinds[-1] == "interrupt_closed"
    assert memory.records[-1].meta["decision"] == "withdrawn"


def test_a_model_takes_its_record_though_the_prompt_differs(memory):
    with memory.claimed():
        done(READ, "at noon", kind=MODEL, identity=None, value="hi")
    with memory.claimed():
        assert begun(READ, "at one", kind=MODEL, identity=None).result() == "hi"
    assert memory.records[-1].meta["event"] == "input_differs"


def test_a_new_effect_in_the_place_of_a_recorded_one_is_drift(memory):
    with memory.claimed():
        done(name="refund", identity=None)
    found, _ = verdict(memory, name="pay", identity=None)
    assert isinstance(found, Wait)


@pytest.mark.parametrize(
    ("policy", "answers"),
    [
        (ONCE, Wait),
        (ToolPolicy(reconcile=lambda *_: Unknown()), Wait),
        (ToolPolicy(reconcile=lambda *_: Done(7)), Finished),
        (ToolPolicy(reconcile=lambda *_: NotDone()), Pass),
    ],
)
def test_a_call_in_doubt_is_settled_and_never_guessed(memory, policy, answers):
    started(memory, policy)
    found, _ = verdict(memory, policy)
    assert isinstance(found, answers)


def test_a_repeatable_call_is_made_again_with_the_same_key(memory):
    retried = ToolPolicy("idempotent", compensate=print)  # so that it is on record
    keys = []
    for _ in range(2):
        with memory.claimed():
            keys.append(begun(retried).context.idempotency_key)
    assert len(set(keys)) == 1
    assert memory.asked == []


def test_an_idempotent_call_is_in_doubt_when_the_other_side_has_forgotten_its_key(memory):
    started(memory, IDEMPOTENT)
    memory.now += IDEMPOTENT.key_ttl + 1
    found, _ = verdict(memory, IDEMPOTENT)
    assert isinstance(found, Wait)


@pytest.mark.parametrize(
    ("decision", "kinds"),
    [
        (Decision.happened(3), ["interrupt_closed", "step_done"]),
        (Decision.did_not_happen(), ["interrupt_closed", "step_started"]),
    ],
)
def test_the_answer_to_a_doubt_is_used_up_with_what_it_leads_to(memory, decision, kinds):
    started(memory)
    interrupt = asked(memory)
    assert interrupt.kind == "in_doubt"
    memory.decide(interrupt.id, decision)
    with memory.claimed():
        begun()
    assert memory.kinds[-2:] == kinds


def test_a_doubt_that_is_given_up_ends_the_execution(memory):
    started(memory)
    memory.decide(asked(memory).id, Decision.cancel())
    with memory.claimed(), pytest.raises(Cancelled):
        begun()
    assert memory.kinds[-1] == "interrupt_closed"


def test_a_call_that_its_policy_refuses_is_rejected_and_nobody_is_asked(memory):
    policy = ToolPolicy(allowed_when="arguments.amount < 10", approval=True)
    with memory.claimed():
        step = begun(policy, {"amount": 50})
    assert isinstance(step, Recorded)
    assert memory.kinds == ["step_failed"]


GATED = ToolPolicy(approval=Approval())


@pytest.mark.parametrize(
    ("decision", "kinds", "arguments"),
    [
        (Decision.approve(), ["interrupt_closed", "step_started"], {"amount": 1}),
        (Decision.edit({"amount": 2}), ["interrupt_closed", "step_started"], {"amount": 2}),
        (Decision.reject("no"), ["interrupt_closed", "step_failed"], None),
        (Decision.respond("as if"), ["interrupt_closed", "step_done"], None),
    ],
)
def test_an_approval_is_used_up_with_what_it_leads_to(memory, decision, kinds, arguments):
    interrupt = asked(memory, GATED, {"amount": 1})
    memory.decide(interrupt.id, decision)
    with memory.claimed():
        step = begun(GATED, {"amount": 1})
    assert memory.kinds[-2:] == kinds
    assert (step.arguments if isinstance(step, Pending) else None) == arguments


def test_an_approval_stays_where_the_call_has_to_wait_for_its_turn(memory):
    policy = ToolPolicy(approval=True, rate=Rate(1, per=60.0))
    memory.decide(asked(memory, policy).id, Decision.approve())
    memory.pace.turns["pay"] = memory.now + 60
    with memory.claimed() as segment, pytest.raises(Suspended):
        begun(policy)
    assert segment.wake_at == memory.now + 60
    assert memory.kinds[-1] == "note"
    del memory.pace.turns["pay"]
    with memory.claimed():
        assert isinstance(begun(policy), Pending)
    assert memory.kinds[-2:] == ["interrupt_closed", "step_started"]


def test_arguments_that_do_not_fit_are_refused_before_anybody_is_asked(memory):
    schema = {"type": "object", "properties": {"amount": {"type": "integer"}}}
    with memory.claimed():
        step = begun(GATED, {"amount": "much"}, schema=lambda: schema)
    assert isinstance(step, Recorded)
    assert memory.asked == []


def test_a_decision_on_other_arguments_is_taken_back_and_asked_for_again(memory):
    first = asked(memory, GATED, {"amount": 1}, defaults={"currency": "EUR"})
    memory.decide(first.id, Decision.approve())
    second = asked(memory, GATED, {"amount": 1}, defaults={"currency": "USD"})
    assert second.id != first.id
    assert memory.kinds[-3:] == ["interrupt_closed", "interrupt_opened", "note"]


def test_nobody_has_decided_in_time(memory):
    policy = ToolPolicy(approval=Approval(expires_in=10.0))
    asked(memory, policy)
    memory.now += 11
    with memory.claimed():
        assert isinstance(begun(policy), Recorded)
    assert memory.records[-2].meta["by"] == "timer"


def test_others_are_asked_when_nobody_has_decided_in_time(memory):
    policy = ToolPolicy(approval=Approval(expires_in=10.0, on_expiry="escalate", escalate_to=("boss",)))
    asked(memory, policy)
    memory.now += 11
    with memory.claimed() as segment, pytest.raises(Suspended):
        begun(policy)
    assert memory.records[-1].meta["event"] == "escalated"
    assert segment.waits


def test_an_open_circuit_lets_nothing_through_and_a_call_says_what_became_of_it(memory):
    policy = ToolPolicy("read", breaker=Breaker(failures=1, reset=30.0))
    memory.pace.circuits["pay"] = Circuit(1, memory.now + 30)
    with memory.claimed(), pytest.raises(Suspended):
        begun(policy)
    assert memory.records[-1].meta["event"] == "circuit_open"
    memory.pace.circuits["pay"] = Circuit(1, None)
    with memory.claimed():
        complete_step(begun(policy), Ended("ok"), 0.1)
        assert memory.pace.circuits["pay"] == Circuit()
        with pytest.raises(ConnectionError):
            complete_step(begun(policy, identity="b"), Ended(error=ConnectionError()), 0.1)
    assert memory.records[-1].meta["event"] == "circuit_opened"


@pytest.mark.parametrize(("initial", "waits"), [(0.0, "none"), (1.0, "here"), (60.0, "let go")])
def test_a_retry_waits_in_the_process_only_if_it_is_short(memory, initial, waits):
    policy = ToolPolicy("read", retry=Retry(attempts=2, initial=initial, jitter=0.0))
    with memory.claimed():
        placed = place(call(policy))
        assert not complete_step(begin_step(placed), Ended(error=ConnectionError()), 0.1)
        if waits == "let go":
            with pytest.raises(Suspended):
                begin_step(placed)
            return
        step = begin_step(placed)
        assert step.delay == initial
        memory.now += step.delay
        assert (begin_step(placed).attempt, begin_step(placed).delay) == (2, 0.0)


def test_an_unknown_outcome_that_did_not_happen_is_retried_as_the_policy_says(memory):
    policy = ToolPolicy(reconcile=lambda *_: NotDone(), retry=Retry(attempts=2, initial=0.0))
    with memory.claimed():
        placed = place(call(policy))
        assert not complete_step(begin_step(placed), Ended(error=TimeoutError(), unknown=True), 0.1)
        assert begin_step(placed).attempt == 2
    assert memory.kinds == ["step_started", "note", "note", "step_retry", "step_started"]


def test_an_unknown_outcome_that_did_not_happen_fails_when_there_are_no_attempts_left(memory):
    policy = ToolPolicy(reconcile=lambda *_: NotDone())
    with memory.claimed():
        placed = place(call(policy))
        complete_step(begin_step(placed), Ended(error=TimeoutError(), unknown=True), 0.1)
        assert isinstance(begin_step(placed), Recorded)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_budget_stops_the_second_of_what_is_counted_and_nothing_else(kind):
    memory = MemoryProcess(budget=Budget(steps=1))
    with memory.claimed() as segment:
        begun(READ, kind=kind, identity="a")
        if not kind.counted:
            begun(READ, kind=kind, identity="b")
            return
        with pytest.raises(BudgetExceeded):
            begun(READ, kind=kind, identity="b")
        assert isinstance(segment.stopped, BudgetExceeded)


def test_places_are_not_counted_and_what_has_an_effect_is():
    assert [kind.counted for kind in (NODE, TASK, AGENT)] == [False] * 3
    assert [kind.counted for kind in (FUNCTION, TOOL, STEP, MODEL)] == [True] * 4
    assert all(kind.is_scope != kind.has_effect for kind in KINDS.values())


def test_a_budget_is_granted_once_more_by_a_person(memory):
    memory.budget = Budget(steps=1, approval=True)
    with memory.claimed():
        done(identity="a")
        with pytest.raises(Suspended):
            begun(identity="b")
    memory.release()
    memory.decide(memory.asked[-1].id, Decision.approve())
    with memory.claimed() as segment:
        assert isinstance(begun(identity="b"), Pending)
        assert (segment.usage.count("steps"), segment.usage.grants) == (2, 1)
    assert memory.kinds[-2:] == ["interrupt_closed", "step_started"]


def test_a_budget_that_is_not_granted_stops_the_execution(memory):
    memory.budget = Budget(steps=1, approval=True)
    with memory.claimed():
        done(identity="a")
        with pytest.raises(Suspended):
            begun(identity="b")
    memory.decide(memory.asked[-1].id, Decision.reject("enough"))
    with memory.claimed(), pytest.raises(BudgetExceeded, match="enough"):
        begun(identity="b")
    assert memory.kinds[-1] == "interrupt_closed"


def test_a_model_without_a_price_is_refused_before_it_is_asked(memory):
    memory.budget = Budget(money=1.0, prices=PRICES)
    with memory.claimed():
        begun(READ, name="chat:m", kind=MODEL, identity=None)


def test_all_that_is_said_of_a_call_is_one_append(memory, monkeypatch):
    with memory.claimed():
        done(arguments=1)
    memory.decide(asked(memory, ONCE, 2).id, Decision.approve())
    with memory.claimed() as segment:
        appends, append = [], segment.append
        monkeypatch.setattr(
            segment, "append", lambda *records, **more: appends.append(records) or append(*records, **more)
        )
        begun(ONCE, 2)
        begun(ONCE, identity="b")
    assert [len(records) for records in appends] == [1, 1]


def test_the_gates_are_asked_in_this_order():
    assert [gate.__module__.rpartition(".")[2] for gate in begin.GATES] == [
        "drift",
        "replayed",
        "begin",
        "doubt",
        "allowed",
        "repeated",
        "approval",
        "pace",
        "budget",
        "pace",
    ]
