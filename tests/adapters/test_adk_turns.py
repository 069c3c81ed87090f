"""An agent that is a node of a workflow keeps its turn, over a crash, an approval and a failure: nothing is done twice."""

from __future__ import annotations

import pytest
from google.adk import Workflow
from google.adk.agents import LlmAgent

from durable import Decision, ToolPolicy
from durable.adapters.google_adk import durable_runner
from tests.adapters.adk_world import Script, call, run, text
from tests.world import DAY, World, crashed

FINISHED = {"task": [call("finish_task", result="paid")]}


@pytest.fixture
def world(database_url):
    made = World(database_url)
    yield made
    made.close()


def intake(node_input) -> str:
    return "order O1"


def close(node_input) -> str:
    return f"closed: {node_input}"


def flow(*nodes, name="office"):
    return Workflow(name=name, edges=[("START", *nodes)])


def in_an_agent(buyer):
    boss = Script(model="boss", turns=[[call("buyer", request="buy O1")], [text("all done")]])
    return LlmAgent(name="office", model=boss, sub_agents=[buyer])


SHAPES = {
    "single turn": ("single_turn", lambda buyer: flow(intake, buyer, close)),
    "task": ("task", lambda buyer: flow(intake, buyer, close)),
    "chat": ("chat", lambda buyer: flow(intake, flow(buyer, name="inner"), close)),
    "nested": ("single_turn", lambda buyer: flow(intake, flow(buyer, name="inner"), close)),
    "in an agent": ("single_turn", in_an_agent),
}


class Office:
    """A buyer who looks at the stock, pays and says so, somewhere in an app; ``on_pay`` and ``at_last`` may get in."""

    def __init__(self, world, shape, **policies):
        self.world, self.policies = world, policies
        self.mode, self.around = SHAPES[shape]
        self.on_pay = self.at_last = lambda: None

    def last(self, _):
        self.at_last()
        return FINISHED.get(self.mode, [text("paid")])

    def runner(self, *, later=0.0):
        async def stock() -> dict:
            """Look at the stock."""
            return {"stock": self.world.did("stock")}

        async def pay() -> dict:
            """Pay."""
            self.on_pay()
            return {"paid": self.world.did("pay")}

        self.model = Script(turns=[[call("stock")], [call("pay")], self.last])
        buyer = LlmAgent(name="buyer", model=self.model, tools=[stock, pay], mode=self.mode)
        runtime = self.world.process(later=later, policies=self.policies)
        return durable_runner(self.around(buyer), runtime, name="office")


@pytest.fixture(params=SHAPES)
def shape(request):
    return request.param


def test_killed_behind_a_payment_only_the_question_to_the_model_is_repeated(world, shape):
    office = Office(world, shape)
    office.at_last = world.die
    first = office.runner()
    crashed(lambda: run(first, execution_id="e"))
    office.at_last = lambda: None
    second = office.runner(later=DAY)
    (result,) = second.runtime.recover()
    assert (result.status, world.effects, office.model.asked) == ("succeeded", ["stock", "pay"], 1)


def test_an_approved_call_is_made_once_and_the_turn_goes_on_behind_it(world, shape):
    office = Office(world, shape, pay=ToolPolicy(effect="once", approval=True))
    run(office.runner(), execution_id="e")
    assert world.effects == ["stock"]
    second = office.runner(later=DAY)
    (asked,) = second.runtime.interrupts()
    second.runtime.decide(asked.id, Decision.approve(), by="ann")
    (result,) = second.runtime.recover()
    assert (result.status, world.effects, office.model.asked) == ("succeeded", ["stock", "pay"], 1)
    assert len(second.runtime.interrupts(status=None)) == 1


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "in an agent"])  # whose model is told of it
def test_an_execution_that_failed_in_a_tool_is_tried_again_from_that_tool_on(world, shape):
    def fails():
        raise ValueError("no money")

    office = Office(world, shape)
    office.on_pay = fails
    with pytest.raises(ValueError, match="no money"):
        run(office.runner(), execution_id="e")
    office.on_pay = lambda: None
    second = office.runner(later=DAY)
    second.runtime.get("e").retry()
    (result,) = second.runtime.recover()
    assert (result.status, world.effects, office.model.asked) == ("succeeded", ["stock", "pay"], 1)
