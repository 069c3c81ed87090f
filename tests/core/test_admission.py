"""What a policy does not allow does not run: the caller is told why, the history shows it, a replay says the same."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest

from durable import Approval, Decision, Done, Runtime, ToolNotAllowed, ToolPolicy, step, tool
from durable.errors import InvalidConfiguration, ToolRejected
from tests.world import World, crashed


@pytest.fixture
def world(sqlite_url):
    made = World(sqlite_url)
    yield made
    made.close()


def paying(world, *amounts, runtime=None, then=None, **policy):
    """An app that pays these amounts one after the other, and returns what came of each."""
    runtime = runtime or world.process()

    @tool(**policy)
    def pay(amount):
        return world.did(amount)

    @runtime.function("app")
    def app():
        found = []
        for amount in amounts:
            try:
                found.append(pay(amount))
            except ToolNotAllowed as no:
                found.append(no.reason)
        return found if then is None else then(found)

    return runtime


def test_a_call_that_is_not_allowed_does_not_run_and_is_told_why(world):
    runtime = paying(world, 20, 900, allowed_when="arguments.amount <= 100")
    found = runtime.run("app", id="a")
    assert found.output == [20, "the policy allows this call only where 'arguments.amount <= 100' is true"]
    assert world.effects == [20]
    (refused,) = [record for record in found.events if record.kind == "step_failed"]
    assert refused.meta["rejected"] == found.output[1]
    assert found.interrupts == []


def test_a_replay_says_the_same_even_if_the_policy_would_not(world):
    def dies(_):
        world.die()

    crashed(lambda: paying(world, 20, 900, then=dies, allowed_when="arguments.amount <= 100").run("app", id="a"))
    runtime = paying(world, 20, 900, runtime=world.process(later=60), allowed_when="arguments.amount > 100")
    assert runtime.run("app", id="a").output[1].startswith("the policy allows")
    assert world.effects == [20]


def test_not_allowed_is_one_way_to_be_rejected(world):
    runtime = world.process(policies={"pay": ToolPolicy(allowed_when="false")})

    @runtime.function("app")
    def app():
        step(pay, 1)

    def pay(amount):
        world.did(amount)

    error = runtime.run("app", id="a").error
    assert error == {
        "type": "ToolNotAllowed",
        "message": "pay is not allowed: the policy allows this call only where 'false' is true",
    }
    assert issubclass(ToolNotAllowed, ToolRejected)


def small_amounts(arguments):
    return arguments["amount"] <= 100


def only_the_clerk(_, facts):
    return facts.agent == "clerk"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("arguments.amout <= 100", "'arguments.amout <= 100' could not be evaluated"),
        ("arguments.amount", "could not be evaluated: TypeError"),
        (lambda arguments: arguments["amout"] <= 100, "could not be evaluated: KeyError: 'amout'"),
        (small_amounts, "only where 'small_amounts' is true"),
        (only_the_clerk, "only where 'only_the_clerk' is true"),
    ],
)
def test_a_rule_that_raises_or_says_no_refuses_with_the_reason(world, rule, said):
    assert said in paying(world, 900, allowed_when=rule).run("app", id="a").output[0]
    assert world.effects == []


def test_a_rule_that_is_no_expression_is_refused_where_it_stands():
    with pytest.raises(InvalidConfiguration, match="no CEL expression"):
        ToolPolicy(allowed_when="arguments.amount <=")


@pytest.mark.parametrize(
    "rule",
    [
        "tool == 'pay' && app == 'app' && agent == 'app' && tags.env == 'prod' && calls('pay') < 2",
        lambda arguments, facts: (
            (facts.tool, facts.app, facts.tags["env"]) == ("pay", "app", "prod")
            and facts.arguments == arguments
            and facts.calls("pay") < 2
        ),
    ],
)
def test_a_rule_sees_who_calls_in_which_execution_and_what_was_done(world, rule):
    def dies(found):
        if len(world.alive) == 1:
            world.die()
        return [isinstance(one, int) for one in found]

    crashed(lambda: paying(world, 1, 2, then=dies, allowed_when=rule).run("app", id="a", tags={"env": "prod"}))
    runtime = paying(world, 1, 2, 3, 4, then=dies, runtime=world.process(later=60), allowed_when=rule)
    assert runtime.run("app", id="a").output == [True, True, False, False]
    assert world.effects == [1, 2]


async def test_calls_side_by_side_count_each_other(world):
    runtime, together, came = world.process(), threading.Barrier(2, timeout=0.2), []

    def first_only(_, facts):
        before = facts.calls("pay")
        with suppress(threading.BrokenBarrierError):  # two that look at once would both see none
            together.wait()
        return before < 1

    @tool(effect="read", allowed_when=first_only)
    async def pay(amount):
        world.did(amount)
        came.append(amount)
        while len(came) < 4:  # on its way until all have come by
            await asyncio.sleep(0.001)

    @runtime.function("app")
    async def app():
        async def one(amount):
            try:
                await pay(amount)
            except ToolNotAllowed:
                came.append(amount)

        await asyncio.gather(*(one(n) for n in range(4)))

    assert (await runtime.aio.run("app", id="a")).status == "succeeded"
    assert len(world.effects) == 1


def test_what_was_not_allowed_does_not_count_as_a_call(world):
    runtime = paying(world, 900, 20, 30, allowed_when="arguments.amount <= 100 && calls('pay') < 1")
    assert [isinstance(one, int) for one in runtime.run("app").output] == [False, True, False]


def test_nobody_is_asked_about_what_is_not_allowed_and_an_edit_is_looked_at_too(world):
    policy = {"approval": True, "allowed_when": "arguments.amount <= 100"}
    runtime = paying(world, 900, 50, **policy)
    (question,) = runtime.run("app", id="a").interrupts
    assert question.arguments == {"amount": 50}
    runtime.decide(question.id, Decision.edit({"amount": 500}), by="alice")
    found = runtime.run("app", id="a")
    assert found.status == "succeeded"
    assert "only where" in found.output[1]
    assert world.effects == []
    assert runtime.interrupt(question.id).status == "consumed"


def test_an_approval_sees_the_same_facts(world):
    gate = Approval(when="calls('pay') >= 1 && tags.env == 'prod'")
    runtime = paying(world, 1, 2, approval=gate)
    (question,) = runtime.run("app", id="a", tags={"env": "prod"}).interrupts
    assert question.arguments == {"amount": 2}
    assert runtime.run("app", id="b", tags={"env": "test"}).output == [1, 2]


@pytest.fixture
def governed(sqlite_url):
    def governed(policies, tags=(), app="billing"):
        with Runtime(sqlite_url, policies=policies) as runtime:

            @tool(tags=tags)
            def refund():
                return "done"

            runtime.function(app)(lambda: refund())
            found = runtime.run(app)
            return found.interrupts[0].rule if found.interrupts else "free"

    return governed


def gates(*keys):
    """A policy for each key that asks, with the key as its rule; in an order in which the first never is the answer."""
    return {key: ToolPolicy(approval=Approval(rule=key)) for key in reversed(keys)}


def test_the_most_specific_policy_counts(governed):
    keys = ["app:billing/agent:bill*/refund*", "agent:billing/*", "app:bill*/refund", "app:billing/tag:money"]
    keys += ["app:billing/refund*", "refund", "tag:money", "refund*"]
    for number, key in enumerate(keys):
        assert governed(gates(*keys[number:]), tags=("money",)) == key
    for other in ("app:sales/refund", "agent:clerk/refund", "tag:other", "refunds", "app:sales/agent:billing/*"):
        assert governed(gates(other), tags=("money",)) == "free"


def test_of_equals_the_first_counts(governed):
    assert governed(gates("ref*", "re*")) == "re*"


@pytest.mark.parametrize("key", ["app:billing", "app:/refund", "agent:x", "tag:", "app:a/", "agent:x/app:y/refund"])
def test_a_key_that_means_nothing_is_refused(sqlite_url, key):
    with pytest.raises(InvalidConfiguration, match="policies"):
        Runtime(sqlite_url, policies={key: ToolPolicy()})


def test_tags_are_given_where_the_tool_is(sqlite_url):
    with pytest.raises(InvalidConfiguration, match="tags are given where the tool is"):
        Runtime(sqlite_url, policies={"refund": ToolPolicy(tags=("money",))})


def test_what_can_only_be_code_stays_the_tools_own(world):
    def run(runtime):
        @tool(reconcile=lambda *_: Done("found"))
        def pay():
            world.did("paid")
            world.die()

        runtime.function("app")(lambda: pay())
        return runtime.run("app", id="a")

    crashed(lambda: run(world.process(policies={"pay": ToolPolicy(timeout=60.0)})))
    assert run(world.process(later=60, policies={"pay": ToolPolicy()})).output == "found"
