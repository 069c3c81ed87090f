"""An agent of the OpenAI Agents SDK with sequential and parallel tools, a guardrail that asks a model, a handoff, and a
sub-agent whose tool needs approval: each with effects on the world. Run as such, and streamed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agents import Agent, GuardrailFunctionOutput, InputGuardrail, RunConfig, RunHooks, Runner, function_tool
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call

from durable import current, tool
from durable.adapters.openai_agents import durable_agent
from durable.errors import ExecutionSuspended
from tests.crash.scenario import Scenario

if TYPE_CHECKING:
    from durable import Runtime
    from durable.testing.outside import Outside


UNTRACED = RunConfig(tracing_disabled=True)
GIVEN = {"ask_inner": "input"}


def called(*names: str) -> list[Any]:
    """The calls of one answer."""
    return [function_call(name, {GIVEN.get(name, "customer"): "acme"}, call_id=f"call-{name}") for name in names]


def answers_in(given: Any) -> int:
    """How many answers of a model an input holds: calls that stand next to each other are one."""
    if isinstance(given, str):
        return 0
    said = [item.get("type") == "function_call" or item.get("role") == "assistant" for item in given]
    return sum(here and not (place and said[place - 1]) for place, here in enumerate(said))


class Told(RunHooks[Any]):
    """What comes out of the journal: an answer of a model, which is not asked for again, and the results of tools."""

    def __init__(self, world: Outside, effects: Any) -> None:
        self.world, self.effects = world, effects

    async def on_llm_end(self, context: Any, agent: Any, response: Any) -> None:
        self.world.acknowledged(response.response_id, response.response_id)

    async def on_tool_end(self, context: Any, agent: Any, tool: Any, result: Any) -> None:
        if tool.name in self.effects:
            self.world.acknowledged(tool.name, result)


class Desk(Scenario):
    """Everything at once, in one agent. That a model was asked is an effect of its own: it may be asked again."""

    name = "openai agent"
    app = "desk"
    effects = {
        "look_up": "read",
        "reserve": "idempotent",
        "charge": "once",
        "ship": "once",
        "refund": "once",
        "polish": "once",
        **{f"model {who}": "read" for who in ("judge 0", "desk 0", "desk 1", "desk 2")},
        **{f"model {who}": "read" for who in ("back 3", "back 4", "back 5", "inner 0", "inner 1")},
    }
    gated = frozenset({"refund"})
    side_by_side = 2
    expected = {"desk": ("succeeded", "end")}

    async def drive(self) -> None:
        """Run it until it has ended or waits."""
        await self.durable.run("go", execution_id="desk")

    def start(self, runtime: Runtime) -> None:
        try:
            asyncio.run(self.drive())
        except ExecutionSuspended:
            return  # an effect is in doubt, which the SDK's result has no form for

    def build(self, runtime: Runtime, world: Outside) -> None:
        def model(who: str, *turns: Any) -> ScriptedModel:
            def answered(asked: Any) -> ModelStep:
                number = answers_in(asked.input)
                world.effect(name := f"model {who} {number}", {})
                said = turns[number]
                output = [assistant_message(said)] if isinstance(said, str) else called(*said)
                return ModelStep(output=output, response_id=name)

            return ScriptedModel([ModelStep.respond(answered) for _ in range(20)])

        def acting(name: str, **options: Any) -> Any:
            @function_tool(name_override=name, failure_error_function=None, **options)
            @tool(effect=self.effects[name])  # type: ignore[arg-type]  # as it stands in the table
            async def act(customer: str) -> str:
                """Do it."""
                return world.effect(name, {"customer": customer}, key=current().idempotency_key)

            return act

        told = Told(world, self.effects)
        judge = Agent(name="judge", model=model("judge", "fine"))

        async def judged(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
            result = await Runner.run(judge, given, hooks=told)
            return GuardrailFunctionOutput(output_info=result.final_output, tripwire_triggered=False)

        inner = Agent(
            name="inner", model=model("inner", ["refund"], "refunded"), tools=[acting("refund", needs_approval=True)]
        )
        back = Agent(
            name="back",
            model=model("back", None, None, None, ["ask_inner"], ["polish"], "end"),
            tools=[inner.as_tool("ask_inner", "Ask.", hooks=told), acting("polish")],
        )
        desk = Agent(
            name="desk",
            model=model("desk", ["look_up"], ["reserve", "charge", "ship"], ["transfer_to_back"]),
            tools=[acting(name) for name in ("look_up", "reserve", "charge", "ship")],
            handoffs=[back],
            input_guardrails=[InputGuardrail(guardrail_function=judged, name="judged", run_in_parallel=False)],
        )
        self.durable = durable_agent(desk, runtime, name=self.app, hooks=told, run_config=UNTRACED)


class Streamed(Desk):
    """The same, read as a stream."""

    name = "openai agent, streamed"

    async def drive(self) -> None:
        result = self.durable.run_streamed("go", execution_id="desk")
        async for _ in result.stream_events():
            pass


OPENAI = [Desk, Streamed]
