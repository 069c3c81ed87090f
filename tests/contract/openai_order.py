"""The order as an agent of the OpenAI Agents SDK: durable, and bare with what the SDK brings (SQLiteSession, RunState)."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

from agents import Agent, RunConfig, Runner, SQLiteSession, Usage, function_tool
from agents.run_state import RunState
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call

from durable import current
from durable.adapters.openai_agents import durable_agent
from durable.live.scope import scope
from tests.contract.subject import ORDER, Durable, Subject

if TYPE_CHECKING:
    from durable import Runtime
    from tests.contract.outside import Outside

SILENT = RunConfig(tracing_disabled=True)


def agent_of(outside: Outside) -> Agent[Any]:
    """The model draws the number, and calls the tools with it."""

    @function_tool
    def reserve(number: int) -> str:
        """Reserve it."""
        return outside.effect("reserve", number, _key())

    @function_tool(needs_approval=True)
    def pay(number: int) -> str:
        """Pay it."""
        return outside.effect("pay", number, _key())

    def turn(asked: Any) -> ModelStep:
        answers = [str(item["output"]) for item in asked.input if _is_answer(item)]
        usage = Usage(requests=1, input_tokens=1, output_tokens=1, total_tokens=2)
        if not answers:
            number = outside.draw()
            return ModelStep(output=[function_call("reserve", {"number": number}, call_id=f"r{number}")], usage=usage)
        number = int(answers[-1].split()[-1])
        if answers[-1].startswith("reserved"):
            return ModelStep(output=[function_call("pay", {"number": number}, call_id=f"p{number}")], usage=usage)
        return ModelStep(output=[assistant_message(answers[-1])], usage=usage)

    model = ScriptedModel([ModelStep.respond(turn) for _ in range(50)])
    return Agent(name=ORDER, model=model, tools=[reserve, pay])


def _is_answer(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "function_call_output"


def _key() -> str:
    return "" if scope() is None else current().idempotency_key


class OpenAIOrder(Durable):
    """The agent, wrapped."""

    name = "durable OpenAI agent"
    input: Any = "order"

    def build(self, runtime: Runtime) -> None:
        """One line."""
        durable_agent(agent_of(self.outside), runtime, name=ORDER, run_config=SILENT)


class BareOpenAIOrder(Subject):
    """The agent with a SQLiteSession, its RunState kept in a file while a person is asked."""

    name = "OpenAI Agents with SQLiteSession and RunState"

    @property
    def _state(self) -> Any:
        return self.folder / "state.json"

    def begin(self) -> None:
        """Run it, and keep its state."""
        session = SQLiteSession(ORDER, self.folder / "session.db")
        result = asyncio.run(Runner.run(agent_of(self.outside), "order", session=session, run_config=SILENT))
        if result.interruptions:
            self._keep(result.to_state().to_json())
        else:
            self._end(result)

    def go_on(self) -> None:
        """Run it again with its session, if it neither waits nor has ended."""
        if not self._state.exists() and self.outcome() is None:
            self.begin()

    def say_yes(self) -> None:
        """Approve what the kept state waits for, and run the state."""
        if self._state.exists() and self.outcome() is None:
            self._end(self._approved())

    def go_back(self) -> str:
        """Run the state once more that was kept while a person was asked."""
        return str(self._approved().final_output)

    def outcome(self) -> str | None:
        """What was kept of the result."""
        path = self.folder / "outcome"
        return path.read_text() if path.exists() else None

    def faults(self) -> list[str]:
        """Calls in the session of an order that has ended that no answer follows."""
        if self.outcome() is None:
            return []
        items = asyncio.run(SQLiteSession(ORDER, self.folder / "session.db").get_items())
        answered = {item["call_id"] for item in items if _is_answer(item)}
        calls = [item["call_id"] for item in items if isinstance(item, dict) and item.get("type") == "function_call"]
        return [f"call {one} has no answer" for one in calls if one not in answered]

    def _approved(self) -> Any:
        async def run() -> Any:
            agent = agent_of(self.outside)
            state = await RunState.from_json(agent, json.loads(self._state.read_text()))
            for item in state.get_interruptions():
                state.approve(item)
            session = SQLiteSession(ORDER, self.folder / "session.db")
            return await Runner.run(agent, state, session=session, run_config=SILENT)

        return asyncio.run(run())

    def _keep(self, state: dict[str, Any]) -> None:
        whole = self._state.with_suffix(".new")
        whole.write_text(json.dumps(state))
        os.replace(whole, self._state)

    def _end(self, result: Any) -> None:
        (self.folder / "outcome").write_text(str(result.final_output))
