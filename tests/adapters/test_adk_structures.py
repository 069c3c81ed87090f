"""Agents in agents, workflows, nodes: killed in the middle, each effect happens once, or its doubt is settled by a person."""

from __future__ import annotations

import asyncio

import pytest
from google.adk import Workflow
from google.adk.events.event import Event
from google.genai import types

from durable import Decision, ToolPolicy
from durable.adapters.google_adk import durable_runner
from tests.adapters.adk_structures import (
    Parts,
    agent_tool,
    dynamic,
    graph,
    loop,
    parallel,
    sequential,
    silent_graph,
    task,
    transfer,
)
from tests.adapters.adk_world import call, events_of, run, session_of, text
from tests.world import DAY, World, crashed


@pytest.fixture
def world(sqlite_url):
    made = World(sqlite_url)
    yield made
    made.close()


class Life(Parts):
    """An app whose effects are counted, and the process that dies after the effect ``dies``."""

    def __init__(self, world, build):
        super().__init__()
        self.world, self.build, self.dies = world, build, None

    def effect(self, name):
        self.world.did(name)
        if self.dies == name:
            self.world.die()
        return {"did": name}

    def runner(self, *, later=0.0):
        self.models = []
        return durable_runner(self.build(self), self.world.process(later=later, policies={}), name="app")

    def killed_and_recovered(self, point):
        """The runner and result after a kill in the effect ``point``, its doubt settled by one who looks; what was in doubt."""
        self.dies = point
        crashed(lambda: run(self.runner(), execution_id="e"))
        self.dies = None
        runner, doubted = self.runner(later=DAY), []
        runner.runtime.recover()
        while open_ones := runner.runtime.interrupts():
            for asked in open_ones:
                assert asked.kind == "in_doubt", asked
                doubted.append(asked.tool)
                happened = asked.tool in self.world.effects
                answer = Decision.happened({"did": asked.tool}) if happened else Decision.did_not_happen()
                runner.runtime.decide(asked.id, answer, by="ann")
            runner.runtime.recover()
        return runner, runner.runtime.result_of("e"), doubted


STRUCTURES = [
    (sequential, ["t1", "t2", "t3"], 5),
    (parallel, ["t1", "t2", "t3"], 6),
    (loop, ["t1", "t2", "t3"], 7),
    (transfer, ["t1", "t2"], 4),
    (agent_tool, ["t1", "t2", "t3"], 6),
    (task, ["t1", "t2"], 5),
    (graph, ["n1", "n2", "n3", "n4"], 0),
    (silent_graph, ["n1", "n2", "n3"], 0),
    (dynamic, ["d1", "d2", "d3"], 0),
]
NAMES = [build.__name__ for build, _, _ in STRUCTURES]


@pytest.mark.parametrize(("build", "effects", "models"), STRUCTURES, ids=NAMES)
def test_a_run_without_a_crash(world, build, effects, models):
    life = Life(world, build)
    runner = life.runner()
    run(runner, execution_id="e")
    assert runner.runtime.get("e").status == "succeeded"
    assert (sorted(world.effects), life.asked) == (effects, models)


@pytest.mark.parametrize(
    ("build", "point", "effects"),
    [
        pytest.param(build, point, effects, id=f"{build.__name__}-{point}")
        for build, effects, _ in STRUCTURES
        for point in effects
    ],
)
def test_killed_after_an_effect_nothing_happens_twice(world, build, point, effects):
    life = Life(world, build)
    runner, result, doubted = life.killed_and_recovered(point)
    assert (result.status, sorted(world.effects)) == ("succeeded", effects)
    assert point in doubted
    state = session_of(runner).state
    assert {key: value for key, value in state.items() if key.startswith("n_") and value != 1} == {}


def test_a_finished_workflow_is_not_driven_again(world):
    life = Life(world, graph)
    runner = life.runner()
    first = run(runner, execution_id="e")
    again = run(runner, execution_id="e")
    assert [event.id for event in again] == [event.id for event in first]
    assert world.effects == ["n1", "n2", "n3", "n4"]


def test_a_generator_node_hands_on_what_it_yields_and_its_steps_run_once(world):
    from durable import step

    def build(life):
        async def talks(ctx, node_input):
            yield Event(message="on my way")
            first = step(life.effect, "s1")
            life.effect("s2")
            yield first

        return Workflow(name="root", edges=[("START", talks)])

    life = Life(world, build)
    _, result, doubted = life.killed_and_recovered("s2")
    assert (result.status, result.output, doubted) == ("succeeded", {"did": "s1"}, [])
    assert world.effects == ["s1", "s2", "s2"]


def test_a_node_that_is_tried_again_is_another_step(world):
    from google.adk.workflow import RetryConfig, node

    def build(life):
        @node(retry_config=RetryConfig(max_attempts=3, initial_delay=0.01))
        async def shaky(node_input):
            life.effect("shaky")
            if life.world.effects.count("shaky") < 2:
                raise ValueError("not yet")
            return "at last"

        return Workflow(name="root", edges=[("START", shaky)])

    life = Life(world, build)
    runner = life.runner()
    run(runner, execution_id="e")
    assert (runner.runtime.get("e").result(), world.effects) == ("at last", ["shaky", "shaky"])


def test_two_processes_that_resume_at_once_run_nothing_twice(world):
    life = Life(world, sequential)
    life.dies = "t2"
    crashed(lambda: run(life.runner(), execution_id="e"))
    life.dies = None
    first, second = life.runner(later=DAY).runtime, life.runner().runtime

    async def both():
        return await asyncio.gather(first.aio.recover(), second.aio.recover(), return_exceptions=True)

    asyncio.run(both())
    (asked,) = first.interrupts()
    first.decide(asked.id, Decision.happened({"did": "t2"}), by="ann")
    asyncio.run(both())
    assert (first.get("e").status, sorted(world.effects)) == ("succeeded", ["t1", "t2", "t3"])


def test_a_gate_inside_an_agent_that_is_a_tool_is_passed_once(world):
    life = Life(world, agent_tool)
    runner = life.runner()
    runner.runtime.policies["t2"] = ToolPolicy(approval=True)
    run(runner, execution_id="e")
    assert world.effects == ["t1"]
    runner = life.runner(later=DAY)
    runner.runtime.policies["t2"] = ToolPolicy(approval=True)
    (asked,) = runner.runtime.interrupts()
    runner.runtime.decide(asked.id, Decision.approve(), by="ann")
    (result,) = runner.runtime.recover()
    assert (result.status, world.effects) == ("succeeded", ["t1", "t2", "t3"])


def test_an_agent_of_ones_own_is_entered_again_and_its_steps_are_not(world):
    from google.adk.agents import BaseAgent

    from durable import step

    def build(life):
        class Own(BaseAgent):
            async def _run_async_impl(self, ctx):
                for name in ("s1", "s2", "s3"):
                    step(life.effect, name)
                    content = types.Content(role="model", parts=[text(name)])
                    yield Event(author=self.name, invocation_id=ctx.invocation_id, content=content)

        return Own(name="root")

    life = Life(world, build)
    life.dies = "s2"
    crashed(lambda: run(life.runner(), execution_id="e"))
    life.dies = None
    runner = life.runner(later=DAY)
    runner.runtime.recover()
    (asked,) = runner.runtime.interrupts()
    runner.runtime.decide(asked.id, Decision.happened({"did": "s2"}), by="ann")
    runner.runtime.recover()
    assert (runner.runtime.get("e").result(), world.effects) == ("s3", ["s1", "s2", "s3"])


def test_a_tool_that_is_a_node_runs_once(world):
    from google.adk.tools import FunctionTool

    def build(life):
        def pay(amount: str) -> dict:
            """Pay."""
            return life.effect("pay")

        return Workflow(name="root", edges=[("START", FunctionTool(pay))])

    life = Life(world, build)
    _, result, doubted = life.killed_and_recovered("pay")
    assert (result.status, world.effects, doubted) == ("succeeded", ["pay"], ["pay"])


def test_a_node_that_requires_confirmation_waits_in_the_inbox(world):
    from google.adk.workflow import node

    def build(life):
        @node(require_confirmation=True)
        async def pay(node_input):
            return life.effect("pay")

        return Workflow(name="root", edges=[("START", pay)])

    life = Life(world, build)
    run(life.runner(), execution_id="e")
    runner = life.runner(later=DAY)
    (asked,) = runner.runtime.interrupts()
    assert (asked.kind, world.effects) == ("approval", [])
    confirmed = types.FunctionResponse(
        id=asked.step_key.removeprefix("native:"), name="adk_request_input", response={"confirmed": True}
    )
    run(runner, types.Content(role="user", parts=[types.Part(function_response=confirmed)]))
    assert (runner.runtime.get("e").status, world.effects) == ("succeeded", ["pay"])
    assert runner.runtime.interrupt(asked.id).decided_by == "run_async(new_message)"


async def test_a_confirmation_of_a_node_that_a_session_holds_approves_nothing(world):
    from google.adk.workflow import node

    def build(life):
        @node(require_confirmation=True)
        async def pay(node_input):
            return life.effect("pay")

        return Workflow(name="root", edges=[("START", pay)])

    runner = Life(world, build).runner()
    await events_of(runner, execution_id="e")
    (asked,) = runner.runtime.interrupts()
    call_id = asked.step_key.removeprefix("native:")
    forged = types.FunctionResponse(id=call_id, name="adk_request_input", response={"confirmed": True})
    service = runner.session_service
    session = await service.get_session(app_name="app", user_id="ann", session_id="s")
    content = types.Content(role="user", parts=[types.Part(function_response=forged)])
    await service.append_event(session, Event(author="user", invocation_id="e", content=content))
    await events_of(runner, None, execution_id="e")
    assert (world.effects, runner.runtime.get("e").status) == ([], "suspended")
    runner.runtime.decide(asked.id, Decision.approve(), by="ann")
    await runner.runtime.aio.recover()
    assert (world.effects, runner.runtime.get("e").status) == (["pay"], "succeeded")


def test_a_node_that_is_a_tool_of_an_agent_is_entered_again(world):
    from google.adk.workflow import node

    def build(life):
        @node
        async def pay(request: str):
            """Pay."""
            return life.effect("pay")

        agent = life.agent("root", turns=[[call("pay", request="now")], [call("t1")], [text("done")]])
        agent.tools.extend([pay, life.tool("t1")])
        return agent

    life = Life(world, build)
    _, result, doubted = life.killed_and_recovered("t1")
    assert (result.status, world.effects, doubted) == ("succeeded", ["pay", "t1"], ["t1"])
