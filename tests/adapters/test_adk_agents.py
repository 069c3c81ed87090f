"""An LlmAgent inside an execution: killed anywhere, another process goes on, and no tool that finished runs again."""

from __future__ import annotations

import asyncio

import pytest
from google.adk.agents import LlmAgent

from durable import Decision, ToolPolicy, tool
from durable.adapters.google_adk import durable_runner
from tests.adapters.adk_world import Script, call, final, run, session_of, text, told
from tests.world import DAY, World, crashed

PARALLEL = [[call("t1"), call("t2"), call("t3")], [text("done")]]
SEQUENTIAL = [[call("t1")], [call("t2")], [call("t3")], [text("done")]]


@pytest.fixture
def world(database_url):
    made = World(database_url)
    yield made
    made.close()


class Tools:
    """Three tools with an effect each; ``dies`` names the one in which the process ends, after its effect."""

    def __init__(self, world, **policies):
        self.world, self.policies, self.dies = world, policies, None
        self.beside, self.model = frozenset(), None

    def recorded(self):
        """The tools whose record is durable."""
        done = [record for record in self.world.alive[-1].get("e").history() if record.kind == "step_done"]
        return {record.meta["name"] for record in done}

    def functions(self):
        def make(name):
            async def effect(tool_context) -> dict:
                self.world.did(name)
                tool_context.state[f"n_{name}"] = tool_context.state.get(f"n_{name}", 0) + 1
                if self.dies == name:
                    while not self.beside <= self.recorded():
                        await asyncio.sleep(0.01)
                    self.world.die()
                return {"did": name}

            effect.__name__ = name
            effect.__doc__ = f"Does {name}."
            return effect

        return [make(name) for name in ("t1", "t2", "t3")]

    def runner(self, turns, *, later=0.0, **options):
        runtime = self.world.process(later=later, policies=self.policies)
        self.model = Script(turns=turns)
        agent = LlmAgent(name="root", model=self.model, tools=self.functions(), **options)
        return durable_runner(agent, runtime, name="app")


@pytest.mark.parametrize("turns", [PARALLEL, SEQUENTIAL], ids=["parallel", "sequential"])
def test_a_run_behaves_as_the_bare_one(world, turns):
    tools = Tools(world)
    runner = tools.runner(turns)
    assert final(run(runner)) == "done"
    in_order = sorted(world.effects) if turns is PARALLEL else world.effects  # calls of one answer have no order
    assert in_order == ["t1", "t2", "t3"]
    assert tools.model.asked == len(turns)
    session = session_of(runner)
    assert {key: session.state[key] for key in ("n_t1", "n_t2", "n_t3")} == {"n_t1": 1, "n_t2": 1, "n_t3": 1}
    (execution,) = runner.runtime.executions()
    assert (execution.status, execution.output) == ("succeeded", "done")


def settled(runtime, world):
    """A person looks whether what is in doubt has happened, and says so."""
    in_doubt = runtime.interrupts()
    assert {asked.kind for asked in in_doubt} == {"in_doubt"}
    assert "t2" in {asked.tool for asked in in_doubt}
    for asked in in_doubt:
        happened = asked.tool in world.effects
        answer = Decision.happened({"did": asked.tool}) if happened else Decision.did_not_happen()
        runtime.decide(asked.id, answer, by="ann")
    (result,) = runtime.recover()
    return result


@pytest.mark.parametrize("turns", [PARALLEL, SEQUENTIAL], ids=["parallel", "sequential"])
def test_a_tool_killed_between_its_effect_and_its_record_is_in_doubt_and_nothing_else_runs_again(world, turns):
    tools = Tools(world)
    runner = tools.runner(turns)
    tools.dies = "t2"
    crashed(lambda: run(runner, execution_id="e"))
    tools.dies = None
    runner = tools.runner(turns, later=DAY)
    runner.runtime.recover()
    result = settled(runner.runtime, world)
    assert (result.status, result.output) == ("succeeded", "done")
    assert sorted(world.effects) == ["t1", "t2", "t3"]
    assert "t2 -> {'did': 't2'}" in told(session_of(runner))


@pytest.mark.parametrize(("turns", "beside"), [(PARALLEL, {"t1", "t3"}), (SEQUENTIAL, {"t1"})])
def test_an_idempotent_tool_runs_again_and_its_siblings_that_have_finished_do_not(world, turns, beside):
    tools = Tools(world, t2=ToolPolicy(effect="idempotent"))
    runner = tools.runner(turns)
    tools.dies, tools.beside = "t2", beside
    crashed(lambda: run(runner, execution_id="e"))
    tools.dies = None
    runner = tools.runner(turns, later=DAY / 48)
    (result,) = runner.runtime.recover()
    assert (result.status, sorted(world.effects)) == ("succeeded", ["t1", "t2", "t2", "t3"])
    assert tools.model.asked == len(turns) - (2 if turns is SEQUENTIAL else 1)
    state = session_of(runner).state
    assert (state["n_t1"], state["n_t2"], state["n_t3"]) == (1, 1, 1)


def test_a_gated_tool_waits_for_a_decision_without_a_process_and_runs_once(world):
    tools = Tools(world, t2=ToolPolicy(approval=True))
    runner = tools.runner(PARALLEL)
    events = run(runner, execution_id="e")
    assert final(events) is None or "adk_request_confirmation" in str(events[-1])
    assert sorted(world.effects) == ["t1", "t3"]
    runtime = tools.runner(PARALLEL, later=DAY).runtime
    (asked,) = runtime.interrupts()
    assert (asked.kind, asked.tool, runtime.get("e").status) == ("approval", "t2", "suspended")
    runtime.decide(asked.id, Decision.approve(), by="ann")
    (result,) = runtime.recover()
    assert (result.status, result.output, sorted(world.effects)) == ("succeeded", "done", ["t1", "t2", "t3"])


def test_a_rejected_tool_does_not_run_and_the_model_is_told_why(world):
    tools = Tools(world, t2=ToolPolicy(approval=True))
    runner = tools.runner(SEQUENTIAL)
    run(runner, execution_id="e")
    (asked,) = runner.runtime.interrupts()
    runner.runtime.decide(asked.id, Decision.reject("too dear"), by="ann")
    assert final(run(runner, None, execution_id="e")) == "done"
    assert world.effects == ["t1", "t3"]
    assert "t2 -> {'error': 't2 was rejected: too dear'}" in told(session_of(runner))


def test_a_finished_invocation_is_never_driven_again(world):
    tools = Tools(world)
    runner = tools.runner(SEQUENTIAL)
    first = run(runner, execution_id="e")
    asked = tools.model.asked
    again = run(runner, execution_id="e")
    assert [event.id for event in again] == [event.id for event in first]
    assert (tools.model.asked, runner.runtime.recover()) == (asked, [])


def test_the_policy_of_the_function_counts_and_its_context_is_filled_in(world):
    from durable import ToolContext

    seen = []

    @tool(effect="idempotent")
    def pay(amount: int, context: ToolContext) -> dict:
        """Pay."""
        seen.append((amount, context.idempotency_key, context.execution_id))
        return {"paid": amount}

    runtime = world.process()
    model = Script(turns=[[call("pay", amount=3)], [text("paid")]])
    runner = durable_runner(LlmAgent(name="root", model=model, tools=[pay]), runtime, name="app")
    assert final(run(runner, execution_id="e")) == "paid"
    declared = model.requests[0].config.tools[0].function_declarations[0]
    assert "context" not in str(declared)
    ((amount, key, execution_id),) = seen
    assert (amount, len(key), execution_id) == (3, 52, "e")
