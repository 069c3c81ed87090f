"""Code that makes other calls than those recorded stops at a question that shows both sides; it never guesses."""

from __future__ import annotations

import asyncio

import pytest

from durable import Decision, ask, sleep, step, tool, wait_signal
from durable.errors import InvalidDecision
from tests.world import DAY, crashed, intact, kinds


def versions(world, flavour, *bodies):
    """The same durable function in several versions, the first of which waits at its end."""

    def process(number, **options):
        runtime = world.process(**options)
        flavour.app(runtime, "app", bodies[number])
        return runtime

    return process


def pay_of(world, flavour, **policy):
    def pay(amount):
        return world.did(f"paid {amount}")

    return tool(**policy)(flavour.fn(pay))


def calls(pay, *amounts, key=None):
    def body():
        done = []
        for amount in amounts:
            if key is None:
                done.append((yield lambda amount=amount: step(pay, amount)))
            else:
                done.append((yield lambda amount=amount: step.options(key=f"{key}-{len(done)}")(pay, amount)))
        yield lambda: wait_signal("go")
        return done

    return body


@pytest.fixture
def pay(world, flavour):
    return pay_of(world, flavour)


def test_changed_arguments_are_drift_that_shows_both_sides(world, flavour, pay):
    process = versions(world, flavour, calls(pay, 5), calls(pay, 6))
    process(0).run("app", id="a")
    changed = process(1)
    result = changed.run("app", id="a")
    assert result.status == "suspended"
    (drift,) = result.interrupts
    assert (drift.kind, drift.step_key, drift.tool) == ("drift", "pay#1", "pay")
    recorded, now = drift.subject["recorded"], drift.subject["now"]
    assert (recorded["name"], recorded["step"]) == ("pay", "pay#1")
    assert (now["name"], now["arguments"]) == ("pay", {"amount": 6})
    assert recorded["arguments_hash"] != now["arguments_hash"]
    assert world.effects == ["paid 5"]
    changed.run("app", id="a")
    assert len(changed.interrupts()) == 1
    intact(changed.get("a"))


def test_drift_that_is_approved_goes_on_with_what_was_recorded(world, flavour, pay):
    process = versions(world, flavour, calls(pay, 5), calls(pay, 6))
    process(0).run("app", id="a")
    changed = process(1)
    (drift,) = changed.run("app", id="a").interrupts
    changed.decide(drift.id, Decision.approve(), by="alice")
    changed.get("a").signal("go")
    assert changed.run("app", id="a").output == ["paid 5"]
    assert world.effects == ["paid 5"]


def test_an_approved_drift_stays_approved_in_the_next_process(world, flavour, pay):
    process = versions(world, flavour, calls(pay, 5), calls(pay, 6))
    process(0).run("app", id="a")
    changed = process(1)
    (drift,) = changed.run("app", id="a").interrupts
    changed.decide(drift.id, Decision.approve(), by="alice")
    assert changed.run("app", id="a").interrupts == []
    again = process(1)
    again.get("a").signal("go")
    assert again.run("app", id="a").output == ["paid 5"]


def test_drift_that_is_cancelled_ends_the_execution(world, flavour, pay):
    process = versions(world, flavour, calls(pay, 5), calls(pay, 6))
    process(0).run("app", id="a")
    changed = process(1)
    (drift,) = changed.run("app", id="a").interrupts
    changed.decide(drift.id, Decision.cancel("wrong version"), by="alice")
    assert changed.run("app", id="a").status == "cancelled"
    assert world.effects == ["paid 5"]


def test_drift_is_withdrawn_when_the_code_is_right_again(world, flavour, pay):
    process = versions(world, flavour, calls(pay, 5), calls(pay, 6))
    process(0).run("app", id="a")
    (drift,) = process(1).run("app", id="a").interrupts
    right = process(0)
    right.get("a").signal("go")
    assert right.run("app", id="a").output == ["paid 5"]
    assert right.interrupt(drift.id).status == "cancelled"
    assert [r.payload["decision"] for r in right.get("a").history() if r.kind == "interrupt_closed"] == ["withdrawn"]


def test_drift_takes_no_other_answers(world, flavour, pay):
    process = versions(world, flavour, calls(pay, 5), calls(pay, 6))
    process(0).run("app", id="a")
    changed = process(1)
    (drift,) = changed.run("app", id="a").interrupts
    for wrong in (Decision.reject("no"), Decision.respond(1), Decision.happened(), Decision.edit({"amount": 5})):
        with pytest.raises(InvalidDecision, match="approve, cancel"):
            changed.decide(drift.id, wrong, by="alice")


def test_fewer_calls_are_drift_at_the_first_that_does_not_fit(world, flavour, pay):
    process = versions(world, flavour, calls(pay, 5, 6, 7), calls(pay, 5, 7, 8))
    process(0).run("app", id="a")
    (drift,) = process(1).run("app", id="a").interrupts
    assert (drift.kind, drift.step_key) == ("drift", "pay#2")
    assert drift.subject["now"]["arguments"] == {"amount": 8}
    assert world.effects == ["paid 5", "paid 6", "paid 7"]


def test_more_calls_behind_the_recorded_ones_are_no_drift(world, flavour, pay):
    process = versions(world, flavour, calls(pay, 5), calls(pay, 5, 6))
    process(0).run("app", id="a")
    longer = process(1)
    longer.get("a").signal("go")
    assert longer.run("app", id="a").output == ["paid 5", "paid 6"]


def test_a_keyed_call_with_other_arguments_or_another_name_is_drift(world, flavour, pay):
    def refund(amount):
        return world.did(f"refunded {amount}")

    refunding = tool(flavour.fn(refund))
    process = versions(world, flavour, *(calls(*args, key="k") for args in ((pay, 5), (pay, 6), (refunding, 5))))
    process(0).run("app", id="a")
    process(0).run("app", id="b")
    (other_arguments,) = process(1).run("app", id="a").interrupts
    (other_name,) = process(2).run("app", id="b").interrupts
    assert (other_arguments.kind, other_name.kind) == ("drift", "drift")
    assert (other_name.subject["recorded"]["name"], other_name.subject["now"]["name"]) == ("pay", "refund")
    assert world.effects == ["paid 5", "paid 5"]


def test_a_step_that_was_started_and_then_changed_is_drift_and_stays_in_doubt(world, flavour):
    from tests.world import crashed

    def die(amount):
        world.did(f"paid {amount}")
        if len(world.effects) == 1:
            world.die()
        return amount

    paying = tool(flavour.fn(die))
    process = versions(world, flavour, calls(paying, 5), calls(paying, 6))
    crashed(lambda: process(0).run("app", id="a"))
    changed = process(1, later=60)
    (drift,) = changed.run("app", id="a").interrupts
    assert drift.kind == "drift"
    changed.decide(drift.id, Decision.approve(), by="alice")
    (doubt,) = changed.run("app", id="a").interrupts
    assert doubt.kind == "in_doubt"
    assert world.effects == ["paid 5"]


def test_a_gated_call_whose_arguments_changed_before_the_decision_asks_about_the_change_and_then_again(world, flavour):
    pay = pay_of(world, flavour, approval=True)
    process = versions(world, flavour, calls(pay, 5), calls(pay, 6))
    (asked,) = process(0).run("app", id="a").interrupts
    changed = process(1)
    (drift,) = changed.run("app", id="a").interrupts
    assert (drift.kind, changed.interrupt(asked.id).status) == ("drift", "cancelled")
    changed.decide(drift.id, Decision.approve(), by="alice")
    (again,) = changed.run("app", id="a").interrupts
    assert (again.kind, again.arguments) == ("approval", {"amount": 6})
    assert world.effects == []
    changed.decide(again.id, Decision.approve(), by="alice")
    changed.run("app", id="a")
    assert world.effects == ["paid 6"]


@pytest.mark.parametrize(
    "given",
    [Decision.approve(), Decision.reject("too much"), Decision.edit({"amount": 4}), Decision.respond("paid already")],
    ids=lambda decision: decision.kind,
)
def test_a_decision_for_other_arguments_is_never_taken_for_an_answer_to_the_drift(world, flavour, given):
    pay = pay_of(world, flavour, approval=True)
    process = versions(world, flavour, calls(pay, 5), calls(pay, 6))
    first = process(0)
    (asked,) = first.run("app", id="a").interrupts
    first.decide(asked.id, given, by="alice")
    result = process(1).run("app", id="a")
    assert [interrupt.kind for interrupt in result.interrupts] == ["drift"]
    assert result.status == "suspended"
    assert world.effects == []


def asking(call):
    def body():
        answer = yield call
        yield lambda: wait_signal("go")
        return answer

    return body


def test_a_changed_question_is_drift_and_its_answer_counts_if_that_is_approved(world, flavour):
    process = versions(world, flavour, asking(lambda: ask("go?")), asking(lambda: ask("really go?")))
    first = process(0)
    (question,) = first.run("app", id="a").interrupts
    first.decide(question.id, Decision.respond("yes"), by="alice")
    first.run("app", id="a")
    changed = process(1)
    (drift,) = changed.run("app", id="a").interrupts
    assert (drift.kind, drift.subject["now"]["arguments"]["question"]) == ("drift", "really go?")
    for _ in range(2):
        changed.run("app", id="a")
    assert len(changed.interrupts()) == 1
    changed.decide(drift.id, Decision.approve(), by="alice")
    changed.get("a").signal("go")
    assert changed.run("app", id="a").output == "yes"


def test_a_changed_wait_is_drift_and_is_withdrawn_when_the_code_is_right_again(world, flavour):
    process = versions(world, flavour, asking(lambda: sleep(0.0)), asking(lambda: sleep(9999)))
    process(0).run("app", id="a")
    (drift,) = process(1).run("app", id="a").interrupts
    assert drift.kind == "drift"
    right = process(0)
    right.get("a").signal("go")
    assert right.run("app", id="a").status == "succeeded"
    assert right.interrupt(drift.id).status == "cancelled"


def test_a_decision_whose_step_is_gone_does_not_make_the_execution_run_in_circles(world, flavour, pay):
    gated = pay_of(world, flavour, approval=True)

    def without():
        yield lambda: wait_signal("other")

    process = versions(world, flavour, calls(gated, 5), without)
    first = process(0)
    (asked,) = first.run("app", id="a").interrupts
    first.decide(asked.id, Decision.approve(), by="alice")
    changed = process(1)
    assert len(changed.recover()) == 1
    assert changed.get("a").status == "suspended"
    assert kinds(changed.get("a")).count("claimed") == 2
    changed.get("a").signal("other")
    assert [interrupt.kind for interrupt in changed.recover()[0].interrupts] == ["drift"]
    assert changed.recover() == []


def renamed(pay, flavour, world, **policy):
    def bill(amount):
        return world.did(f"billed {amount}")

    return tool(**policy)(flavour.fn(bill))


@pytest.mark.parametrize("state", ["done", "waiting for approval", "started"])
def test_a_call_under_another_name_in_place_of_a_recorded_one_is_drift_and_does_not_run(world, flavour, state):
    policy = {"approval": True} if state == "waiting for approval" else {}

    def pay(amount):
        world.did(f"paid {amount}")
        if state == "started":
            world.die()

    process = versions(
        world,
        flavour,
        calls(tool(**policy)(flavour.fn(pay)), 5),
        calls(renamed(pay, flavour, world, **policy), 5),
    )
    first = process(0)
    if state == "started":
        crashed(lambda: first.run("app", id="a"))
    else:
        first.run("app", id="a")
    before = list(world.effects)
    changed = process(1, later=DAY)
    (drift,) = changed.run("app", id="a").interrupts
    assert (drift.kind, drift.step_key, drift.tool) == ("drift", "pay#1", "bill")
    assert drift.subject["recorded"]["name"] == "pay"
    assert drift.subject["now"]["name"] == "bill"
    assert drift.subject["now"]["arguments"] == {"amount": 5}
    assert world.effects == before
    intact(changed.get("a"))


def test_a_renamed_call_runs_once_it_is_approved_and_is_no_drift_again(world, flavour, pay):
    process = versions(world, flavour, calls(pay, 5), calls(renamed(pay, flavour, world), 5))
    process(0).run("app", id="a")
    changed = process(1)
    (drift,) = changed.run("app", id="a").interrupts
    changed.decide(drift.id, Decision.approve(), by="alice")
    assert changed.run("app", id="a").status == "suspended"
    assert world.effects == ["paid 5", "billed 5"]
    again = process(1)
    again.get("a").signal("go")
    assert again.run("app", id="a").output == ["billed 5"]
    assert world.effects == ["paid 5", "billed 5"]
    intact(again.get("a"))


def test_a_renamed_call_is_no_drift_any_more_when_the_old_name_is_back(world, flavour, pay):
    process = versions(world, flavour, calls(pay, 5), calls(renamed(pay, flavour, world), 5))
    process(0).run("app", id="a")
    process(1).run("app", id="a")
    right = process(0)
    right.get("a").signal("go")
    result = right.run("app", id="a")
    assert (result.output, result.interrupts) == (["paid 5"], [])
    assert world.effects == ["paid 5"]


def test_a_removed_call_is_drift_at_the_next_new_effect_and_not_at_a_read(world, flavour, pay):
    look = tool(effect="read")(flavour.fn(lambda: "seen"))

    def with_pay():
        yield lambda: step(pay, 5)
        yield lambda: wait_signal("go")

    def without_pay():
        yield lambda: step(look)
        yield lambda: step(renamed(pay, flavour, world), 5)

    process = versions(world, flavour, with_pay, without_pay)
    process(0).run("app", id="a")
    changed = process(1)
    (drift,) = changed.run("app", id="a").interrupts
    assert (drift.kind, drift.step_key) == ("drift", "pay#1")
    assert "<lambda>#1" in {record.step_key for record in changed.get("a").history()}
    assert world.effects == ["paid 5"]


def test_a_renamed_call_inside_a_tool_is_drift_too(world, flavour, pay):
    bill = renamed(pay, flavour, world)

    def version(inner):
        def order(amount):
            done = yield lambda: step(inner, amount)
            yield lambda: wait_signal("go")
            return done

        def body():
            return (yield lambda: step(tool()(flavour.body(order)), 5))

        return body

    process = versions(world, flavour, version(pay), version(bill))
    process(0).run("app", id="a")
    (drift,) = process(1).run("app", id="a").interrupts
    assert (drift.kind, drift.step_key, drift.tool) == ("drift", "order#1/pay#1", "bill")
    assert world.effects == ["paid 5"]


def test_branches_that_come_by_in_another_order_are_no_drift(world):
    async def pay(amount):
        return world.did(f"paid {amount}")

    async def bill(amount):
        return world.did(f"billed {amount}")

    def define(runtime, slow):
        @runtime.function("app")
        async def app():
            async def first():
                await asyncio.sleep(slow)
                await step(pay, 1)

            async def second():
                await step(bill, 2)
                await step(renewed, 3)

            async def renewed(amount):
                return world.did(f"renewed {amount}")

            await asyncio.gather(first(), second())
            await wait_signal("go")

        return runtime

    define(world.process(), 0).run("app", id="a")
    slower = define(world.process(), 0.3)
    slower.get("a").signal("go")
    assert slower.run("app", id="a").status == "succeeded"
    assert sorted(world.effects) == ["billed 2", "paid 1", "renewed 3"]
