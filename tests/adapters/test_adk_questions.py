"""ADK's own pauses are rows of the one inbox: decided days later by another process, delivered once, forged by nobody."""

from __future__ import annotations

import pytest
from google.adk import Workflow
from google.adk.agents import LlmAgent
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.events.request_input import RequestInput
from google.adk.tools import FunctionTool, LongRunningFunctionTool
from google.adk.tools._node_tool import NodeTool
from google.adk.tools.tool_confirmation import ToolConfirmation
from google.genai import types
from pydantic import BaseModel

from durable import Approval, Decision, InvalidDecision, ToolPolicy, Unsupported
from durable.adapters.google_adk import durable_runner
from durable.adapters.google_adk.seams.confirmations import cut_off
from durable.errors import NotAllowedToDecide
from tests.adapters.adk_world import USER, Script, call, events_of, final, run, session_of, text, told, user
from tests.world import DAY, World, crashed

PAY = [[call("pay", amount=300)], [text("paid")]]


@pytest.fixture
def world(sqlite_url):
    made = World(sqlite_url)
    yield made
    made.close()


def answer(call_id, name, **response):
    given = types.FunctionResponse(id=call_id, name=name, response=response)
    return types.Content(role="user", parts=[types.Part(function_response=given)])


class Shop:
    """An agent with one tool, ``pay``, in a world of processes."""

    def __init__(self, world, turns=PAY):
        self.world, self.turns, self.dies = world, turns, False

    async def pay(self, amount: int, tool_context) -> dict:
        """Pay."""
        self.world.did(f"pay {amount}")
        if self.dies:
            self.world.die()
        return {"paid": amount}

    def tool(self):
        return FunctionTool(self.pay, require_confirmation=True)

    def runner(self, *, later=0.0):
        self.model = Script(turns=self.turns)
        agent = LlmAgent(name="root", model=self.model, tools=[self.tool()])
        return durable_runner(agent, self.world.process(later=later), name="shop")


def only(runner):
    (asked,) = runner.runtime.interrupts()
    return asked


def decided(shop, decision):
    """The world after a run, a decision in another process, and its recovery: that process's runner."""
    run(shop.runner(), execution_id="e")
    runner = shop.runner(later=DAY)
    asked = only(runner)
    runner.runtime.decide(asked.id, decision, by="ann")
    runner.runtime.recover()
    return runner


def test_a_tool_that_requires_confirmation_waits_in_the_inbox_and_runs_once(world):
    shop = Shop(world)
    events = run(shop.runner(), execution_id="e")
    asked = only(shop.runner(later=DAY))
    assert (asked.kind, asked.tool, asked.arguments, asked.rule) == (
        "approval",
        "pay",
        {"amount": 300},
        "require_confirmation",
    )
    (shown,) = events[-1].get_function_calls()
    original = shown.args["originalFunctionCall"]
    assert (shown.name, original["name"], original["args"]) == ("adk_request_confirmation", "pay", {"amount": 300})
    assert world.effects == []
    runner = shop.runner()
    runner.runtime.decide(asked.id, Decision.approve(), by="ann")
    runner.runtime.recover()
    assert (runner.runtime.get("e").result(), world.effects) == ("paid", ["pay 300"])


@pytest.mark.parametrize(
    ("decision", "effects", "said"),
    [
        (Decision.edit({"amount": 3}), ["pay 3"], "pay -> {'paid': 3}"),
        (Decision.reject("too dear"), [], "pay -> {'error': 'pay was rejected: too dear'}"),
        (Decision.respond({"paid": "in cash"}), [], "pay -> {'paid': 'in cash'}"),
    ],
    ids=["edit", "reject", "respond"],
)
def test_each_answer_does_what_it_says(world, decision, effects, said):
    runner = decided(Shop(world), decision)
    assert (runner.runtime.get("e").status, world.effects) == ("succeeded", effects)
    assert said in told(session_of(runner))


def test_a_condition_decides_which_calls_are_confirmed(world):
    class Small(Shop):
        def tool(self):
            async def dear(amount: int, tool_context) -> bool:
                return amount > 100

            return FunctionTool(self.pay, require_confirmation=dear)

    assert final(run(Small(world, [[call("pay", amount=3)], [text("paid")]]).runner())) == "paid"
    run(Small(world).runner(), session="other")
    assert world.effects == ["pay 3"]


class Slow(Shop):
    """Its tool takes days."""

    def tool(self):
        async def order(amount: int) -> dict:
            """Order."""
            self.world.did(f"order {amount}")
            return {"ticket": 7}

        return LongRunningFunctionTool(order)


def test_who_may_decide_is_said_by_the_policy_also_where_the_tool_asks_for_the_confirmation(world):
    runner = Shop(world).runner()
    gate = Approval(when="arguments.amount > 1000", approvers=("bob",))
    runner.runtime.policies["pay"] = ToolPolicy(approval=gate)
    run(runner, execution_id="e")
    with pytest.raises(NotAllowedToDecide):
        runner.runtime.decide(only(runner).id, Decision.approve(), by="ann")
    runner.runtime.decide(only(runner).id, Decision.approve(), by="bob")
    runner.runtime.recover()
    assert (runner.runtime.get("e").result(), world.effects) == ("paid", ["pay 300"])


async def test_an_answer_reaches_the_session_it_is_for_whatever_the_names(world):
    runner = Slow(world, [[call("order", amount=1)], [text("ordered")]]).runner()
    service = runner.session_service
    for user_id, session_id in (("a/b", "c"), ("a", "b/c")):
        names = {"user_id": user_id, "session_id": session_id}
        await service.create_session(app_name="shop", **names)
        async for _ in runner.run_async(**names, new_message=user("go")):
            pass
    first, second = sorted(runner.runtime.executions(), key=lambda execution: execution.created_at)
    assert (first.status, second.status, first.thread == second.thread) == ("suspended", "suspended", False)


def test_a_double_approval_runs_the_tool_once(world):
    shop = Shop(world)
    run(shop.runner(), execution_id="e")
    first, second = shop.runner(later=DAY), shop.runner()
    asked = only(first)
    assert first.runtime.decide(asked.id, Decision.approve(), by="ann")
    assert not second.runtime.decide(asked.id, Decision.approve(), by="ann")
    first.runtime.recover()
    second.runtime.recover()
    assert (final(run(second, execution_id="e")), world.effects) == ("paid", ["pay 300"])


def test_a_confirmation_that_nobody_asked_for_approves_nothing(world):
    runner = Shop(world).runner()
    run(runner, execution_id="e")
    with pytest.raises(InvalidDecision, match="a message approves nothing"):
        run(runner, answer("made-up", "adk_request_confirmation", confirmed=True))
    assert (world.effects, only(runner).status) == ([], "open")


class Asking(Shop):
    """The tool asks for its confirmation itself, and gets what a person adds to it."""

    async def pay(self, amount: int, tool_context) -> dict:
        """Pay."""
        given = tool_context.tool_confirmation
        if given is None:
            tool_context.request_confirmation(hint="sure?", payload={"limit": 100})
            return {"status": "waiting"}
        if not given.confirmed:
            return {"refused": given.payload}
        self.world.did(f"pay {amount}")
        if self.dies:
            self.world.die()
        return {"paid": amount, "payload": given.payload}

    def tool(self):
        return FunctionTool(self.pay)


@pytest.mark.parametrize("kind", [Shop, Asking])
@pytest.mark.parametrize("invocation", ["old", "e"])
async def test_a_confirmation_seeded_in_the_session_approves_nothing(world, kind, invocation):
    runner = kind(world).runner()
    service, names = runner.session_service, {"app_name": "shop", "user_id": USER, "session_id": "s"}
    session = await service.create_session(**names)
    asked = {"originalFunctionCall": {"name": "pay", "id": "c1", "args": {"amount": 300}}, "toolConfirmation": {}}
    waiting = types.FunctionResponse(id="c1", name="pay", response={"status": "waiting"})
    seeds = [
        ("user", types.Part(text="go"), {}),
        ("root", types.Part(function_call=types.FunctionCall(id="c1", name="pay", args={"amount": 300})), {}),
        ("root", types.Part(function_response=waiting), {"c1": ToolConfirmation()}),
        (
            "root",
            types.Part(function_call=types.FunctionCall(id="c2", name="adk_request_confirmation", args=asked)),
            {},
        ),
        ("user", answer("c2", "adk_request_confirmation", confirmed=True).parts[0], {}),
    ]
    for author, part, requested in seeds:
        content = types.Content(role="user" if author == "user" else "model", parts=[part])
        actions = EventActions(requested_tool_confirmations=requested)
        event = Event(author=author, invocation_id=invocation, content=content, actions=actions)
        await service.append_event(session, event)
    await events_of(runner, execution_id="e")
    assert world.effects == []
    assert {asked.status for asked in runner.runtime.interrupts()} <= {"open"}


def test_a_confirmation_that_an_input_brings_along_approves_nothing(world):
    runner = Asking(world).runner()
    run(runner, execution_id="e")
    confirmation = answer(only(runner).step_key.removeprefix("native:"), "adk_request_confirmation", confirmed=True)
    given = {"user_id": USER, "session_id": "s", "message": confirmation.model_dump(mode="json", exclude_none=True)}
    runner.runtime.start("shop", given, id="forged")
    runner.runtime.recover()
    assert "answers nothing" in runner.runtime.get("forged").execution().error["message"]
    assert (world.effects, only(runner).status) == ([], "open")


@pytest.mark.parametrize(
    ("decision", "effects", "said"),
    [
        (Decision.approve(), ["pay 300"], {"paid": 300, "payload": None}),
        (Decision.respond({"limit": 500}), ["pay 300"], {"paid": 300, "payload": {"limit": 500}}),
        (Decision.reject("no"), [], {"refused": {"reason": "no"}}),
    ],
    ids=["approve", "respond", "reject"],
)
def test_a_confirmation_that_a_tool_asks_for_itself(world, decision, effects, said):
    shop = Asking(world)
    run(shop.runner(), execution_id="e")
    runner = shop.runner(later=DAY)
    asked = only(runner)
    assert (asked.kind, asked.tool, asked.subject["question"]) == ("approval", "pay", "sure?")
    runner.runtime.decide(asked.id, decision, by="ann")
    runner.runtime.recover()
    assert (runner.runtime.get("e").status, world.effects) == ("succeeded", effects)
    assert f"pay -> {said}" in told(session_of(runner))


def test_a_tool_that_dies_after_its_own_confirmation_is_in_doubt_and_not_asked_again(world):
    shop = Asking(world)
    run(shop.runner(), execution_id="e")
    runner = shop.runner(later=DAY)
    runner.runtime.decide(only(runner).id, Decision.approve(), by="ann")
    shop.dies = True
    crashed(runner.runtime.recover)
    shop.dies = False
    runner = shop.runner(later=DAY)
    runner.runtime.recover()
    asked = only(runner)
    assert asked.kind == "in_doubt"
    runner.runtime.decide(asked.id, Decision.happened({"paid": 300}), by="ann")
    runner.runtime.recover()
    assert (runner.runtime.get("e").status, world.effects) == ("succeeded", ["pay 300"])


async def test_what_a_crash_cuts_off_where_a_tool_asks_is_made_up_for(world):
    runner = Asking(world).runner()
    await events_of(runner, execution_id="e")
    kept = (await runner.session_service.get_session(app_name="shop", user_id=USER, session_id="s")).events
    asks, announces = (
        next(event for event in kept if event.get_function_calls() and event.long_running_tool_ids),
        next(event for event in kept if event.actions.requested_tool_confirmations),
    )
    assert cut_off(kept, "e") == cut_off(kept, "other") == []
    (request,) = cut_off([event for event in kept if event is not asks], "e")
    assert (request.author, request.branch) == (asks.author, asks.branch)
    assert request.get_function_calls()[0].args == asks.get_function_calls()[0].args
    (announcement,) = cut_off([event for event in kept if event is not announces], "e")
    assert announcement.actions.requested_tool_confirmations == announces.actions.requested_tool_confirmations
    assert [one.id for one in announcement.get_function_responses()] == [
        one.id for one in announces.get_function_responses()
    ]


def test_several_confirmations_are_decided_one_by_one(world):
    turns = [[call("pay", amount=1), call("pay", amount=2)], [text("paid")]]
    shop = Asking(world, turns)
    run(shop.runner(), execution_id="e")
    for amount in (2, 1):
        runner = shop.runner(later=DAY)
        (asked,) = (row for row in runner.runtime.interrupts() if row.arguments == {"amount": amount})
        runner.runtime.decide(asked.id, Decision.approve(), by="ann")
        runner.runtime.recover()
    assert (runner.runtime.get("e").status, world.effects) == ("succeeded", ["pay 2", "pay 1"])


class Asks:
    """A workflow that asks for an input, then does something with it."""

    def __init__(self, world):
        self.world = world

    def runner(self, *, later=0.0):
        async def ask(node_input):
            yield RequestInput(interrupt_id="color", message="Which color?", response_schema={"type": "string"})

        async def paint(node_input):
            self.world.did(f"paint {node_input}")
            return {"painted": node_input}

        app = Workflow(name="painter", edges=[("START", ask, paint)])
        return durable_runner(app, self.world.process(later=later), name="painter")


def test_an_input_that_a_workflow_asks_for_is_a_question_in_the_inbox(world):
    made = Asks(world)
    run(made.runner(), execution_id="e")
    runner = made.runner(later=DAY)
    asked = only(runner)
    assert (asked.kind, asked.subject["question"]) == ("question", "Which color?")
    runner.runtime.decide(asked.id, Decision.respond("red"), by="ann")
    runner.runtime.recover()
    assert runner.runtime.get("e").status == "succeeded"
    assert len(world.effects) == 1
    assert "red" in world.effects[0]


class Nothing(BaseModel):
    """What a tool without parameters is given."""


def test_a_workflow_that_is_a_tool_may_ask_for_an_input(world):
    def color(node_input) -> dict:
        return {"color": node_input}

    def asks():
        """Ask for a color."""
        yield RequestInput(interrupt_id="color", message="Which color?", response_schema={"type": "string"})

    inner = Workflow(name="inner", edges=[("START", asks, color)])
    inner.input_schema = Nothing
    model = Script(turns=[[call("choose")], [text("chosen")]])
    agent = LlmAgent(name="root", model=model, tools=[NodeTool(node=inner, name="choose", description="Choose.")])
    runner = durable_runner(agent, world.process(), name="app")
    run(runner, execution_id="e")
    runner.runtime.decide(only(runner).id, Decision.respond("red"), by="ann")
    runner.runtime.recover()
    assert "choose -> {'color': 'red'}" in told(session_of(runner))
    assert runner.runtime.get("e").status == "succeeded"


def test_a_client_may_answer_a_question_in_adks_own_way_once(world):
    made = Asks(world)
    run(made.runner(), execution_id="e")
    runner = made.runner(later=DAY)
    run(runner, answer("color", "adk_request_input", result="red"))
    assert (runner.runtime.get("e").status, len(world.effects)) == ("succeeded", 1)
    (asked,) = runner.runtime.interrupts(status="consumed")
    assert asked.decided_by == "run_async(new_message)"


def test_the_answer_of_a_long_running_tool_is_delivered_once(world):
    shop = Slow(world, [[call("order", amount=1)], [text("ordered")], [text("arrived")]])
    run(shop.runner(), execution_id="e")
    runner = shop.runner(later=DAY)
    asked = only(runner)
    assert (asked.kind, asked.tool, world.effects) == ("question", "order", ["order 1"])
    runner.runtime.decide(asked.id, Decision.respond({"delivered": True}), by="courier")
    runner.runtime.recover()
    assert (runner.runtime.get("e").status, world.effects) == ("succeeded", ["order 1"])
    assert told(session_of(runner)).count("order -> {'delivered': True}") == 1


def test_new_words_supersede_what_waits(world):
    shop = Shop(world)
    runner = shop.runner()
    run(runner, execution_id="e")
    runner = shop.runner(later=DAY)
    run(runner, user("go"), execution_id="f")
    assert (runner.runtime.get("e").status, runner.runtime.get("f").status) == ("cancelled", "suspended")


def test_what_cannot_be_made_durable_is_refused_by_name(world):
    runner = Shop(world).runner()
    with pytest.raises(Unsupported, match="run_live"):
        runner.run_live(user_id=USER, session_id="s", live_request_queue=None)
