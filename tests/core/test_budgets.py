"""Budgets: counted from the journal, each step once, whatever crashes; past one it is stopped, or a person is asked."""

from __future__ import annotations

import asyncio

import pytest

from durable import Approval, Budget, BudgetExceeded, Decision, Retry, Runtime, ToolPolicy, step, tool
from durable.declare.policy import READ
from durable.errors import ExecutionFailed, InvalidConfiguration, InvalidDecision
from durable.live.scope import here
from durable.record.kinds import MODEL
from durable.step.begin import place
from durable.step.call import Call
from durable.step.shells import run_step
from tests.world import World, crashed

PRICES = {"gpt-x": {"input": 2.0, "output": 10.0}, "small-*": {"input": 0.0, "output": 1.0}}
THOUSAND = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}


@pytest.fixture
def world(sqlite_url):
    made = World(sqlite_url)
    yield made
    made.close()


def model(name="gpt-x", usage=THOUSAND):
    """A model call, as the adapters make it."""
    call = Call(f"chat:{name}", "prompt", READ, kind=MODEL, usage=lambda _: usage, scope=here())
    return run_step(place(call), lambda _: "answer")


def working(world, body, runtime=None, **budget):
    """An app whose body gets ``pay`` (a tool)."""
    runtime = runtime or world.process(budget=Budget(**budget))

    @tool
    def pay(amount):
        return world.did(amount)

    runtime.function("app")(lambda: body(pay))
    return runtime


def all_of(*kinds):
    """One step of each kind, in this order, and how many were done."""

    def body(pay):
        for number, kind in enumerate(kinds):
            if kind == "tool":
                pay(number)
            elif kind == "model":
                model()
            else:
                step(str, number)
        return len(kinds)

    return body


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"steps": 3}, "steps: 3 of 3"),
        ({"tool_calls": 1}, "tool_calls: 1 of 1"),
        ({"model_calls": 2}, "model_calls: 2 of 2"),
        ({"tokens": 2000}, "tokens: 2200 of 2000"),
        ({"money": 0.005, "prices": PRICES}, "money: 0.006 of 0.005"),
    ],
)
def test_past_a_budget_the_execution_fails_with_what_was_used(world, budget, said):
    runtime = working(world, all_of("model", "tool", "model", "step", "tool", "model"), **budget)
    found = runtime.run("app", id="a")
    assert found.error["type"] == "BudgetExceeded"
    assert said in found.error["message"]
    with pytest.raises(ExecutionFailed, match="BudgetExceeded"):
        runtime.get("a").result()


def test_within_its_budget_nothing_happens(world):
    budget = {"steps": 4, "tool_calls": 2, "model_calls": 1, "tokens": 1101, "money": 0.0031, "prices": PRICES}
    assert working(world, all_of("model", "tool", "tool", "step"), **budget).run("app").output == 4


def test_code_that_goes_on_regardless_does_not_get_further(world):
    def body(pay):
        for number in range(5):
            try:
                pay(number)
            except BudgetExceeded:
                continue
        return "fine"

    assert working(world, body, tool_calls=2).run("app", id="a").error["type"] == "BudgetExceeded"
    assert world.effects == [0, 1]


def test_a_crash_neither_loses_nor_doubles(world):
    def body(pay):
        model()
        for number in range(4):
            pay(number)
            if number == 1 and len(world.alive) == 1:
                world.die()
        return "fine"

    budget = Budget(tool_calls=4, tokens=1200, steps=5)
    crashed(lambda: working(world, body, world.process(budget=budget)).run("app", id="a"))
    assert working(world, body, world.process(later=60, budget=budget)).run("app", id="a").output == "fine"
    assert world.effects == [0, 1, 2, 3]
    assert working(world, body, world.process(budget=budget)).run("app", id="b").output == "fine"


def test_a_call_that_a_rule_allows_is_counted_as_well(world):
    runtime = world.process(budget=Budget(tool_calls=1))

    @tool(allowed_when="calls('pay') < 5")
    def pay(amount):
        return world.did(amount)

    runtime.function("app")(lambda: [pay(number) for number in range(3)])
    assert runtime.run("app").error["type"] == "BudgetExceeded"
    assert world.effects == [0]


@pytest.mark.parametrize("budget", [{"tool_calls": 2}, {"steps": 2}])
def test_what_was_done_is_undone_whatever_the_budget_and_whatever_key_the_policy_has(world, budget):
    def undo(arguments, _):
        world.did(-arguments["amount"])

    policies = {"app:app/tag:money": ToolPolicy(compensate=undo)}
    runtime = world.process(budget=Budget(**budget), compensate=True, policies=policies)

    @tool(tags=("money",))
    def pay(amount):
        return world.did(amount)

    runtime.function("app")(lambda: [pay(number) for number in (1, 2, 3)])
    assert runtime.run("app").error["type"] == "BudgetExceeded"
    assert world.effects == [1, 2, -2, -1]


def test_attempts_of_one_call_are_one_call(world):
    def body(pay):
        return step.options(retry=Retry(attempts=5, initial=0.001))(flaky), pay("paid")

    def flaky():
        world.did("tried")
        if len(world.effects) < 4:
            raise ValueError
        return "ok"

    assert working(world, body, steps=2).run("app").output == ("ok", "paid")


def test_somebody_is_asked_and_grants_as_much_again(world):
    gate = Approval(approvers=("fay",))
    runtime = working(world, all_of(*["tool"] * 5), tool_calls=2, approval=gate)
    (asked,) = runtime.run("app", id="a").interrupts
    assert (asked.kind, asked.tool, asked.rule) == ("approval", None, "budget: tool_calls: 2 of 2")
    assert asked.subject["used"] == {"steps": 2, "tool_calls": 2, "model_calls": 0, "tokens": 0}
    with pytest.raises(InvalidDecision):
        runtime.decide(asked.id, Decision.respond("sure"), by="fay")
    runtime.decide(asked.id, Decision.approve(), by="fay")
    (again,) = runtime.run("app", id="a").interrupts
    assert world.effects == [0, 1, 2, 3]
    assert again.rule == "budget: tool_calls: 4 of 4"
    runtime.decide(again.id, Decision.approve(), by="fay")
    assert runtime.run("app", id="a").output == 5


def test_a_rejection_stops_it_with_the_reason_and_a_retry_asks_again(world):
    runtime = working(world, all_of(*["tool"] * 3), tool_calls=2, approval=True)
    (asked,) = runtime.run("app", id="a").interrupts
    runtime.decide(asked.id, Decision.reject("enough"), by="fay")
    error = runtime.run("app", id="a").error
    assert error["type"] == "BudgetExceeded"
    assert error["message"].endswith("(tool_calls: 2 of 2): enough")
    runtime.get("a").retry()
    assert len(runtime.run("app", id="a").interrupts) == 1


def test_branches_that_come_to_the_end_of_it_at_once_ask_one_question(world):
    runtime = world.process(budget=Budget(tool_calls=2, approval=True))

    @tool(effect="read")
    async def look(n):
        return world.did(n)

    @runtime.function("app")
    async def app():
        return await asyncio.gather(*(look(n) for n in range(4)))

    (asked,) = runtime.run("app", id="a").interrupts
    assert len(world.effects) == 2
    runtime.decide(asked.id, Decision.approve(), by="fay")
    assert runtime.run("app", id="a").output == [0, 1, 2, 3]
    assert sorted(world.effects) == [0, 1, 2, 3]


def test_a_model_without_a_price_is_not_called(world):
    runtime = working(world, lambda _: model("unknown"), money=1.0, prices=PRICES)
    error = runtime.run("app", id="a").error
    assert error["type"] == "InvalidConfiguration"
    assert "no price for the model 'unknown'" in error["message"]


def test_models_have_prices_by_pattern_and_what_is_only_in_the_total_is_output(world):
    def body(_):
        for _ in range(3):
            model("small-7", {"input_tokens": 10, "output_tokens": 10, "total_tokens": 500_010})

    error = working(world, body, money=1.0, prices=PRICES).run("app", id="a").error
    assert "money: 1 of 1" in error["message"]


@pytest.mark.parametrize(
    "given",
    [
        {"steps": 0},
        {"tokens": -1},
        {"money": 1.0},
        {"prices": {"m": {"input": 1.0}}},
        {"prices": {"m": {"input": -1.0, "output": 1.0}}},
        {"steps": 1, "approval": Approval(when="true")},
    ],
)
def test_a_budget_that_means_nothing_is_refused(given):
    with pytest.raises(InvalidConfiguration):
        Budget(**given)


def test_a_file_may_have_the_budget_but_not_both(tmp_path, sqlite_url):
    path = tmp_path / "policies.toml"
    path.write_text('[budget]\nmoney = 2.5\napproval = true\n[budget.prices]\n"gpt*" = { input = 1.0, output = 2.0 }\n')
    with Runtime(sqlite_url, policies=path) as runtime:
        assert runtime.budget == Budget(money=2.5, approval=True, prices={"gpt*": {"input": 1.0, "output": 2.0}})
    with pytest.raises(InvalidConfiguration, match="two budgets"):
        Runtime(sqlite_url, policies=path, budget=Budget(steps=1))
