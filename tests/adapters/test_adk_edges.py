"""Where ADK and the adapter meet: results, inputs, answers and callers of all kinds that ADK allows."""

from __future__ import annotations

import asyncio
import sys
import types as python_types

import pytest
from google.adk.agents import LlmAgent
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.memory.in_memory_memory_service import InMemoryMemoryService
from google.adk.tools import FunctionTool, LongRunningFunctionTool
from google.adk.tools.load_memory_tool import load_memory_tool
from google.genai import types
from pydantic import BaseModel

from durable import Decision, InvalidDecision, ToolPolicy, Unsupported, ask, tool
from durable.adapters.google_adk import durable_runner
from durable.adapters.google_adk.seams.lazy import loaded
from tests.adapters.adk_world import Script, call, events_of, final, run, session_of, text, told
from tests.world import DAY, World, crashed

PAY = [[call("pay", order="A7")], [text("paid")]]


@pytest.fixture
def world(database_url):
    made = World(database_url)
    yield made
    made.close()


class Receipt(BaseModel):
    order: str


class Opaque:
    def __repr__(self):
        return "a receipt"


def desk(world, tools, turns=PAY, *, later=0.0, policies=None, **services):
    agent = LlmAgent(name="desk", model=Script(turns=turns), tools=tools)
    return durable_runner(agent, world.process(later=later, policies=policies or {}), **services)


@pytest.mark.parametrize(
    ("receipt", "kept"),
    [
        (Receipt(order="A7"), {"result": {"order": "A7"}}),
        ([Receipt(order="A7")], {"result": [{"order": "A7"}]}),
        ({"receipt": Receipt(order="A7")}, {"receipt": {"order": "A7"}}),
        (Opaque(), {"result": "a receipt"}),
    ],
    ids=["model", "list", "dict", "opaque"],
)
def test_a_result_is_recorded_as_adk_keeps_it(world, receipt, kept):
    def pay(order: str):
        """Pay."""
        world.did(order)
        return receipt

    def dies(_):
        world.die()

    first = desk(world, [pay], [PAY[0], dies])
    crashed(lambda: run(first, execution_id="e"))
    second = desk(world, [pay], later=DAY)
    second.runtime.recover()
    assert world.effects == ["A7"]
    assert f"pay -> {kept}" in told(session_of(second))


def test_adks_own_memory_tool_works(world):
    runner = desk(
        world,
        [load_memory_tool],
        [[call("load_memory", query="color")], [text("found it")]],
        memory_service=InMemoryMemoryService(),
    )
    assert final(run(runner)) == "found it"


def test_words_alone_are_said_in_a_session_of_their_own(world):
    runner = desk(world, [], [[text("hello")]])
    assert [runner.runtime.run("desk", "please", id="e").output for _ in range(2)] == ["hello"] * 2


@pytest.mark.parametrize("wrong", [{"message": "please"}, {"user_id": "u", "session_id": "s", "message": 5}, 7, None])
def test_an_input_that_cannot_run_is_refused_at_the_start(world, wrong):
    runner = desk(world, [], [[text("hello")]])
    with pytest.raises(Unsupported, match="cannot be run"):
        runner.runtime.start("desk", wrong, id="e")
    assert runner.runtime.executions() == []


def test_a_session_that_is_missing_is_named_at_the_start(world):
    runner = desk(world, [], [[text("hello")]])
    with pytest.raises(SessionNotFoundError, match="elsewhere"):
        runner.runtime.start("desk", {"user_id": "u", "session_id": "elsewhere", "message": "please"})


def answered(request, **response):
    given = types.FunctionResponse(id=request.id, name=request.name, response=response)
    return types.Content(role="user", parts=[types.Part(function_response=given)])


def waiting(events):
    return [
        one for event in events for one in event.get_function_calls() if one.id in (event.long_running_tool_ids or ())
    ]


def test_a_long_running_call_takes_progress_and_further_answers_also_after_other_words(world):
    def render(order: str) -> dict:
        """Render."""
        return {"status": "pending"}

    runner = desk(world, [LongRunningFunctionTool(render)], [[call("render", order="A7")], [text("noted")]])
    (request,) = waiting(run(runner))
    for status in ("half", "almost"):
        assert final(run(runner, answered(request, status=status))) == "noted"
    runner.agent.model.turns = [[text("sunny")]]
    run(runner, "how is the weather?")
    runner.agent.model.turns = [[text("noted")]]
    assert final(run(runner, answered(request, status="done"))) == "noted"
    statuses = [line for line in told(session_of(runner)) if line.startswith("render ->")]
    assert [line.partition("'status': ")[2] for line in statuses][-3:] == ["'half'}", "'almost'}", "'done'}"]


def confirmed(world, *, later=0.0, policies=None):
    def pay(order: str) -> dict:
        """Pay."""
        return {"paid": world.did(order)}

    return desk(world, [FunctionTool(pay, require_confirmation=True)], later=later, policies=policies)


def test_a_confirmation_has_adks_shape_and_history_and_is_answered_in_adks_way(world):
    events = run(confirmed(world), execution_id="e")
    (request,) = waiting(events)
    (paid,) = [one for event in events for one in event.get_function_calls() if one.name == "pay"]
    assert request.args["originalFunctionCall"] == {"name": "pay", "args": {"order": "A7"}, "id": paid.id}
    later = confirmed(world, later=DAY)
    assert [one.id for one in waiting(session_of(later).events)] == [request.id]
    assert final(run(later, answered(request, confirmed=True))) == "paid"
    assert world.effects == ["A7"]
    assert later.runtime.interrupt(request.id).decided_by == "run_async(new_message)"
    assert told(session_of(later))[-2:] == ["desk: paid", "adk_request_confirmation -> {'confirmed': True}"]


def test_a_confirmation_message_after_a_recorded_decision_simply_goes_on(world):
    runner = confirmed(world)
    (request,) = waiting(run(runner))
    runner.runtime.decide(request.id, Decision.approve(), by="ann")
    assert final(run(runner, answered(request, confirmed=True))) == "paid"
    assert runner.runtime.interrupt(request.id).decided_by == "ann"


def test_what_is_not_confirmed_does_not_run(world):
    runner = confirmed(world)
    (request,) = waiting(run(runner))
    run(runner, answered(request, confirmed=False))
    assert world.effects == []


def test_a_message_does_not_open_the_gate_of_a_policy(world):
    runner = confirmed(world, policies={"pay": ToolPolicy(approval=True)})
    (request,) = waiting(run(runner))
    with pytest.raises(InvalidDecision, match="approves nothing"):
        run(runner, answered(request, confirmed=True))
    assert world.effects == []


def test_new_words_are_answered_after_a_caller_went_away_and_no_worker_ends_the_turn(world):
    async def goes_away():
        started = asyncio.Event()

        async def pay(order: str) -> dict:
            """Pay."""
            started.set()
            await asyncio.Event().wait()

        runner = desk(world, [tool(effect="read")(pay)])
        request = asyncio.create_task(events_of(runner, execution_id="e"))
        await started.wait()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        runner.agent.model.turns = [[text("sunny")]]
        return runner, final(await events_of(runner, "never mind, how is the weather?"))

    runner, answer = asyncio.run(goes_away())
    assert (answer, runner.runtime.get("e").status) == ("sunny", "cancelled")
    assert runner.runtime.recover() == []


def test_a_plain_function_asks_a_person_as_an_async_one(world):
    def pay(order: str) -> dict:
        """Pay."""
        return {"paid": world.did(f"{order} {ask('from which account?')}")}

    runner = desk(world, [tool(effect="read")(pay)])
    run(runner, execution_id="e")
    (question,) = runner.runtime.interrupts()
    runner.runtime.decide(question.id, Decision.respond("main"), by="ann")
    (result,) = runner.runtime.recover()
    assert (result.output, world.effects) == ("paid", ["A7 main"])


def test_a_module_that_nothing_is_in_yet_is_not_taken_for_a_whole_one(monkeypatch):
    name = "google.adk.workflow._errors"
    whole = sys.modules[name]
    monkeypatch.setitem(sys.modules, name, python_types.ModuleType(name))
    assert loaded(name, "NodeInterruptedError").NodeInterruptedError.__name__ == whole.NodeInterruptedError.__name__
    assert loaded("google.adk.not_there", "anything") is None
