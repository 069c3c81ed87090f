"""Questions, approvals, signals and sleeps: an execution that waits holds nothing, and each answer is delivered once."""

from __future__ import annotations

import asyncio

import pytest

from durable import Approval, Decision, Suspended, ToolPolicy, ask, sleep, step, tool, wait_signal
from durable.errors import (
    AlreadyDecided,
    ArgumentsChanged,
    DecisionExpired,
    ExecutionClosed,
    InvalidConfiguration,
    InvalidDecision,
    LeaseLost,
    SignalConflict,
    ToolRejected,
)
from tests.world import DAY, HOUR, crashed, intact, kinds


@pytest.fixture
def asked(world, runtime, flavour):
    """A function that asks one question, with what the test gives."""

    def start(**options):
        def app():
            return (yield lambda: ask("which?", **options))

        flavour.app(runtime, "app", app)
        (question,) = runtime.run("app", id="a").interrupts
        return question

    return start


def test_a_question_is_answered_from_outside_and_its_answer_is_replayed(world, runtime, asked):
    question = asked()
    assert (question.kind, question.subject["question"], question.step_key) == ("question", "which?", "ask#1")
    assert runtime.get("a").execution().lease_owner is None
    assert runtime.decide(question.id, Decision.respond({"size": 3}), by="alice") is True
    assert runtime.get("a").status == "pending"
    assert runtime.run("app", id="a").output == {"size": 3}
    assert runtime.interrupt(question.id).status == "consumed"
    intact(runtime.get("a"))


def test_a_question_that_is_rejected_raises_with_the_reason(runtime, flavour):
    def app():
        try:
            yield lambda: ask("which?")
        except ToolRejected as exc:
            return exc.reason

    flavour.app(runtime, "app", app)
    (question,) = runtime.run("app", id="a").interrupts
    runtime.decide(question.id, Decision.reject("none of them"), by="alice")
    assert runtime.run("app", id="a").output == "none of them"


def test_an_answer_must_fit_the_schema_of_the_question(runtime, asked):
    question = asked(schema={"type": "integer", "minimum": 1})
    for wrong in ("x", 0, None):
        with pytest.raises(InvalidDecision, match="schema"):
            runtime.decide(question.id, Decision.respond(wrong), by="alice")
    runtime.decide(question.id, Decision.respond(2), by="alice")
    assert runtime.run("app", id="a").output == 2


def test_a_choice_takes_one_of_its_choices(runtime, asked):
    question = asked(choices=("red", "blue"))
    assert question.kind == "choice"
    with pytest.raises(InvalidDecision):
        runtime.decide(question.id, Decision.respond("green"), by="alice")
    runtime.decide(question.id, Decision.respond("blue"), by="alice")
    assert runtime.run("app", id="a").output == "blue"


def test_a_schema_that_is_none_is_refused_where_it_is_asked(runtime, flavour):
    def app():
        yield lambda: ask("which?", schema={"type": "no such type"})

    flavour.app(runtime, "app", app)
    assert runtime.run("app", id="a").error["type"] == InvalidConfiguration.__name__


def test_a_question_nobody_answers_in_time_is_rejected_and_late_answers_are_told_so(world, flavour):
    def define(runtime):
        def app():
            try:
                yield lambda: ask("which?", expires_in=HOUR)
            except ToolRejected as exc:
                return exc.reason

        flavour.app(runtime, "app", app)
        return runtime

    (question,) = define(world.process()).run("app", id="a").interrupts
    later = define(world.process(later=HOUR + 1))
    with pytest.raises(DecisionExpired):
        later.decide(question.id, Decision.respond(1), by="alice")
    assert later.recover()[0].output == "nobody decided in time"
    assert later.interrupt(question.id).status == "expired"
    with pytest.raises(DecisionExpired):
        later.decide(question.id, Decision.respond(1), by="alice")


def test_an_answer_given_in_time_counts_even_if_it_is_taken_late(world, flavour):
    def define(runtime):
        def app():
            return (yield lambda: ask("which?", expires_in=HOUR))

        flavour.app(runtime, "app", app)
        return runtime

    first = define(world.process())
    (question,) = first.run("app", id="a").interrupts
    first.decide(question.id, Decision.respond("in time"), by="alice")
    assert define(world.process(later=DAY)).recover()[0].output == "in time"


def gated(world, runtime, flavour, **policy):
    def pay(amount, to="shop"):
        return world.did(f"{amount} to {to}")

    paying = tool(**{"approval": True, **policy})(flavour.fn(pay))

    def app():
        try:
            return (yield lambda: paying(amount=5, to="bank"))
        except ToolRejected as exc:
            return f"rejected: {exc.reason}"

    flavour.app(runtime, "app", app)
    return runtime


@pytest.mark.parametrize("effect", ["read", "idempotent", "once"])
def test_a_gated_call_waits_and_runs_once_it_is_approved(world, runtime, flavour, effect):
    gated(world, runtime, flavour, effect=effect)
    (question,) = runtime.run("app", id="a").interrupts
    assert (question.kind, question.tool, question.arguments) == ("approval", "pay", {"amount": 5, "to": "bank"})
    assert world.effects == []
    runtime.decide(question.id, Decision.approve(), by="alice", comment="fine")
    assert runtime.run("app", id="a").output == "5 to bank"
    assert runtime.run("app", id="a").output == "5 to bank"
    assert world.effects == ["5 to bank"]
    history = {record.kind: record for record in runtime.get("a").history()}
    assert history["interrupt_closed"].seq + 1 == history["step_started"].seq
    assert (history["interrupt_closed"].payload["by"], history["interrupt_closed"].payload["comment"]) == (
        "alice",
        "fine",
    )


def test_edited_arguments_are_what_runs(world, runtime, flavour):
    gated(world, runtime, flavour)
    (question,) = runtime.run("app", id="a").interrupts
    runtime.decide(question.id, Decision.edit({"amount": 4, "to": "bank"}), by="alice")
    assert runtime.run("app", id="a").output == "4 to bank"
    assert world.effects == ["4 to bank"]


def test_arguments_of_every_kind_are_edited_where_they_stand(world, runtime):
    @tool(approval=True)
    def call(first, /, second, *rest, third=3, **more):
        return [first, second, list(rest), third, more]

    @runtime.function("app")
    def app():
        return call(1, 2, 7, 8, third=4, extra=5)

    (question,) = runtime.run("app", id="a").interrupts
    edited = {**question.arguments, "rest": (7,), "more": {"extra": 6}}
    runtime.decide(question.id, Decision.edit(edited), by="alice")
    assert runtime.run("app", id="a").output == [1, 2, [7], 4, {"extra": 6}]


@pytest.mark.parametrize("arguments", [{}, {"amount": 5}, {"amount": 5, "to": "bank", "extra": 1}])
def test_an_edit_must_name_the_same_arguments(world, runtime, flavour, arguments):
    gated(world, runtime, flavour)
    (question,) = runtime.run("app", id="a").interrupts
    with pytest.raises(InvalidDecision, match="unknown|missing"):
        runtime.decide(question.id, Decision.edit(arguments), by="alice")


def test_a_rejected_call_does_not_run_and_the_caller_learns_why(world, runtime, flavour):
    gated(world, runtime, flavour)
    (question,) = runtime.run("app", id="a").interrupts
    runtime.decide(question.id, Decision.reject("too much"), by="alice")
    assert runtime.run("app", id="a").output == "rejected: too much"
    assert world.effects == []


def test_a_response_is_the_result_and_nothing_runs(world, runtime, flavour):
    gated(world, runtime, flavour)
    (question,) = runtime.run("app", id="a").interrupts
    runtime.decide(question.id, Decision.respond("paid by hand"), by="alice")
    assert runtime.run("app", id="a").output == "paid by hand"
    assert world.effects == []


def test_the_first_decision_counts(world, runtime, flavour):
    gated(world, runtime, flavour)
    (question,) = runtime.run("app", id="a").interrupts
    assert runtime.decide(question.id, Decision.approve(), by="alice") is True
    assert runtime.decide(question.id, Decision.approve(), by="alice") is False
    for decision, by in ((Decision.approve(), "bob"), (Decision.reject("no"), "alice")):
        with pytest.raises(AlreadyDecided, match="alice"):
            runtime.decide(question.id, decision, by=by)
    runtime.run("app", id="a")
    assert runtime.decide(question.id, Decision.approve(), by="alice") is False
    assert world.effects == ["5 to bank"]


def test_a_decision_bound_to_other_arguments_than_were_looked_at_is_refused(world, runtime, flavour):
    gated(world, runtime, flavour)
    (question,) = runtime.run("app", id="a").interrupts
    with pytest.raises(ArgumentsChanged):
        runtime.decide(question.id, Decision.approve(), by="alice", arguments_hash="0" * 64)
    assert runtime.decide(question.id, Decision.approve(), by="alice", arguments_hash=question.arguments_hash)


def test_an_approval_may_depend_on_the_arguments(world, runtime):
    @tool(approval=Approval(when=lambda arguments: arguments["amount"] > 100, rule="over 100"))
    def pay(amount):
        return world.did(amount)

    @runtime.function("app")
    def app(amount):
        return pay(amount)

    assert runtime.run("app", {"amount": 100}, id="a").output == 100
    (question,) = runtime.run("app", {"amount": 101}, id="b").interrupts
    assert question.rule == "over 100"
    assert world.effects == [100]


def test_an_approval_nobody_gives_in_time_is_a_rejection(world, flavour):
    policy = {"approval": Approval(expires_in=HOUR)}
    gated(world, world.process(), flavour, **policy).run("app", id="a")
    later = gated(world, world.process(later=HOUR + 1), flavour, **policy)
    assert later.recover()[0].output == "rejected: nobody decided in time"
    assert world.effects == []


def test_a_process_that_dies_between_the_decision_and_the_call_leaves_it_in_doubt_and_never_runs_it_twice(
    world, flavour
):
    def define(runtime):
        def pay():
            world.did("paid")
            if len(world.effects) == 1:
                world.die()

        paying = tool(approval=True)(flavour.fn(pay))

        def app():
            return (yield paying)

        flavour.app(runtime, "app", app)
        return runtime

    first = define(world.process())
    (question,) = first.run("app", id="a").interrupts
    first.decide(question.id, Decision.approve(), by="alice")
    crashed(lambda: first.run("app", id="a"))
    again = define(world.process(later=60))
    assert [interrupt.kind for interrupt in again.run("app", id="a").interrupts] == ["in_doubt"]
    assert world.effects == ["paid"]


def test_an_approved_call_that_failed_is_not_run_again_without_a_new_decision_unless_it_is_retried(
    world, runtime, flavour
):
    def pay():
        world.did("tried")
        if len(world.effects) == 1:
            raise ConnectionError("no route")

    paying = tool(approval=True)(flavour.fn(pay))

    def app():
        return (yield paying)

    flavour.app(runtime, "app", app)
    (question,) = runtime.run("app", id="a").interrupts
    runtime.decide(question.id, Decision.approve(), by="alice")
    assert runtime.run("app", id="a").status == "failed"
    assert runtime.run("app", id="a").status == "failed"
    assert world.effects == ["tried"]
    runtime.get("a").retry()
    assert runtime.run("app", id="a").status == "succeeded"
    assert world.effects == ["tried", "tried"]


def test_a_question_inside_a_tool_leaves_no_doubt_about_it(world, runtime, flavour):
    def inner():
        return world.did("inner")

    innermost = flavour.fn(inner)

    def body():
        yield lambda: step(innermost)
        return (yield lambda: ask("go on?"))

    if flavour.is_async:

        @tool
        async def outer():
            await step(innermost)
            return await ask("go on?")
    else:

        @tool
        def outer():
            step(innermost)
            return ask("go on?")

    def app():
        return (yield outer)

    flavour.app(runtime, "app", app)
    result = runtime.run("app", id="a")
    assert [interrupt.kind for interrupt in result.interrupts] == ["question"]
    runtime.decide(result.interrupts[0].id, Decision.respond("yes"), by="alice")
    assert runtime.run("app", id="a").output == "yes"
    assert world.effects == ["inner"]


def test_a_policy_of_the_runtime_gates_a_tool_of_the_same_name(world):
    runtime = world.process(policies={"pay": ToolPolicy(approval=True)})

    @tool(effect="read")
    def pay():
        return world.did("paid")

    @runtime.function("app")
    def app():
        return pay()

    assert runtime.run("app", id="a").status == "suspended"
    assert world.effects == []


def test_a_sleep_lets_go_of_the_process_and_wakes_up_when_it_is_time(world, flavour):
    def define(runtime):
        def app():
            yield lambda: sleep(3 * DAY)
            return "awake"

        flavour.app(runtime, "app", app)
        return runtime

    first = define(world.process())
    assert first.run("app", id="a").status == "suspended"
    execution = first.get("a").execution()
    assert (execution.lease_owner, execution.run_after) == (None, pytest.approx(execution.created_at + 3 * DAY, abs=5))
    assert define(world.process(later=2 * DAY)).recover() == []
    again = define(world.process(later=DAY + 1))
    assert [result.output for result in again.recover()] == ["awake"]
    assert kinds(again.get("a")).count("timer") == 1


def test_a_short_sleep_is_over_in_the_same_run_if_its_time_has_come(runtime, flavour):
    def app():
        yield lambda: sleep(0)
        return "awake"

    flavour.app(runtime, "app", app)
    assert runtime.run("app", id="a").output == "awake"


def test_signals_are_delivered_once_each_and_in_order(world, flavour):
    def define(runtime):
        def app():
            first = yield lambda: wait_signal("news")
            second = yield lambda: wait_signal("news")
            other = yield lambda: wait_signal("other")
            return [first, second, other]

        flavour.app(runtime, "app", app)
        return runtime

    runtime = define(world.process())
    handle = runtime.start("app", id="a")
    handle.signal("news", 1)
    assert runtime.run("app", id="a").status == "suspended"
    handle.signal("other", {"late": True})
    assert handle.status == "suspended"
    handle.signal("news", 2)
    assert handle.status == "pending"
    handle.signal("news", 3)
    again = define(world.process())
    assert again.recover()[0].output == [1, 2, {"late": True}]
    with pytest.raises(ExecutionClosed, match="succeeded"):
        handle.signal("news", 4)


def test_a_large_signal_comes_through(runtime, flavour):
    def app():
        return (yield lambda: wait_signal("news"))

    flavour.app(runtime, "app", app)
    runtime.start("app", id="a").signal("news", "x" * 200_000)
    assert runtime.run("app", id="a").output == "x" * 200_000


def test_a_signal_for_another_name_does_not_wake(runtime, flavour):
    def app():
        return (yield lambda: wait_signal("go"))

    flavour.app(runtime, "app", app)
    runtime.run("app", id="a")
    for name in ("g", "go!", "stop", "o", '"'):
        runtime.get("a").signal(name)
    assert runtime.get("a").status == "suspended"
    assert runtime.recover() == []


def test_an_answer_that_comes_while_the_execution_is_let_go_is_not_lost(world, runtime):
    """Decided between the question and the suspension: run goes on by itself."""

    @runtime.function("app")
    async def app():
        waiting = asyncio.ensure_future(ask("which?"))
        await asyncio.wait([waiting])
        for question in await runtime.aio.interrupts():
            await runtime.aio.decide(question.id, Decision.respond("quick"), by="alice")
        return waiting.result()

    assert runtime.run("app", id="a").output == "quick"


def test_a_signal_sent_again_under_its_id_counts_once(runtime, flavour):
    def app():
        return [(yield lambda: wait_signal("go")), (yield lambda: wait_signal("go"))]

    flavour.app(runtime, "app", app)
    runtime.run("app", id="a")
    handle = runtime.get("a")
    for _ in range(3):
        handle.signal("go", {"n": 1}, id="delivery-1")
    assert runtime.run("app", id="a").status == "suspended"
    handle.signal("go", {"n": 1}, id="delivery-1")
    assert runtime.run("app", id="a").status == "suspended", "it was delivered before"
    handle.signal("go", {"n": 1}, id="delivery-2")
    assert runtime.run("app", id="a").output == [{"n": 1}, {"n": 1}]


@pytest.mark.parametrize(("name", "payload"), [("go", 2), ("stop", 1)])
def test_an_id_is_of_one_signal_only(runtime, flavour, name, payload):
    def app():
        return (yield lambda: wait_signal("go"))

    flavour.app(runtime, "app", app)
    runtime.run("app", id="a")
    runtime.get("a").signal("go", 1, id="delivery-1")
    with pytest.raises(SignalConflict, match="delivery-1"):
        runtime.get("a").signal(name, payload, id="delivery-1")
    assert runtime.run("app", id="a").output == 1


def test_a_person_and_a_rule_see_the_arguments_that_were_left_out(world, runtime, flavour):
    def pay(amount, currency="EUR", *, note=None, urgent=False):
        return world.did(f"{amount} {currency} {note} {urgent}")

    asks = []
    gate = Approval(when=lambda arguments: asks.append(arguments) or arguments["currency"] == "EUR")
    paying = tool(approval=gate)(flavour.fn(pay))

    def app():
        return (yield lambda: paying(5, urgent=True))

    flavour.app(runtime, "app", app)
    (question,) = runtime.run("app", id="a").interrupts
    complete = {"amount": 5, "currency": "EUR", "note": None, "urgent": True}
    assert question.arguments == complete
    assert asks == [complete]
    runtime.decide(question.id, Decision.edit({**complete, "currency": "USD"}), by="alice")
    assert runtime.run("app", id="a").output == "5 USD None True"


def test_a_default_that_changed_since_it_was_approved_is_asked_about_again(world, flavour):
    def define(runtime, default):
        def pay(amount=default):
            return world.did(f"paid {amount}")

        paying = tool(approval=True)(flavour.fn(pay))

        def app():
            return (yield lambda: paying())

        flavour.app(runtime, "app", app)
        return runtime

    first = define(world.process(), 10)
    (question,) = first.run("app", id="a").interrupts
    first.decide(question.id, Decision.approve(), by="alice")
    changed = define(world.process(), 1000)
    (again,) = changed.run("app", id="a").interrupts
    assert again.id != question.id
    assert (again.kind, again.arguments) == ("approval", {"amount": 1000})
    assert world.effects == []
    changed.decide(again.id, Decision.approve(), by="alice")
    assert changed.run("app", id="a").output == "paid 1000"
    assert world.effects == ["paid 1000"]
    intact(changed.get("a"))


def test_a_parameter_that_is_new_and_has_a_default_is_no_drift(world, flavour):
    def define(runtime, pay):
        def app():
            done = yield lambda: step(flavour.fn(pay), 5)
            yield lambda: wait_signal("go")
            return done

        flavour.app(runtime, "app", app)
        return runtime

    def pay(amount):
        return world.did(f"paid {amount}")

    def old(amount):
        return pay(amount)

    def new(amount, dry=False):
        return pay(f"{amount} {dry}")

    old.__name__ = new.__name__ = "pay"
    define(world.process(), old).run("app", id="a")
    changed = define(world.process(), new)
    changed.get("a").signal("go")
    assert changed.run("app", id="a").output == "paid 5"


def test_a_decision_that_was_faster_than_the_timer_counts_though_the_code_swallows_every_error(world, flavour):
    people = gated(world, world.process(), flavour, approval=Approval(expires_in=HOUR))
    (question,) = people.run("app", id="a").interrupts
    later = world.process(later=HOUR + 1)

    def pay(amount, to):
        return world.did(f"{amount} to {to}")

    paying = tool(approval=Approval(expires_in=HOUR))(flavour.fn(pay))

    def app():
        if people.interrupt(question.id).status == "open":
            people.decide(question.id, Decision.approve(), by="alice")
        try:
            return (yield lambda: paying(5, "bank"))
        except Exception as exc:
            return f"swallowed {exc}"

    flavour.app(later, "app", app)
    with pytest.raises(LeaseLost):
        later.run("app", id="a")
    assert later.run("app", id="a").output == "5 to bank"
    assert world.effects == ["5 to bank"]


def test_suspended_without_anything_to_wait_for_fails_and_does_not_run_in_circles(runtime, flavour):
    def app():
        yield lambda: step(flavour.fn(lambda: "done"))
        raise Suspended

    flavour.app(runtime, "app", app)
    result = runtime.run("app", id="a")
    assert result.status == "failed"
    assert "nothing was asked" in result.error["message"]
