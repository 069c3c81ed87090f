"""What the tests of the OpenAI Agents adapter share: scripts for models, the world outside, and processes that die.

A script is a list of turns; a turn is a text, or a list of calls. Each process gets models of its own: one whose execution goes
on answers with the turn whose number is that of the model's answers in its input, so that a replayed one does not ask.
"""

from __future__ import annotations

from typing import Any

from agents import Agent, Usage, function_tool
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call

from tests.adapters.langgraph_world import Ledger, killed


def call(name: str, call_id: str, **arguments: Any) -> Any:
    """A tool call as a model makes it."""
    return function_call(name, arguments, call_id=call_id)


def turn(said: Any) -> Any:
    """The output of one turn."""
    return [assistant_message(said)] if isinstance(said, str) else list(said)


class Model(ScriptedModel):
    """Answers by the number of its own answers in what it is asked, and says so to the ledger."""

    def __init__(self, *turns: Any, ledger: Ledger | None = None, name: str = "model") -> None:
        self.turns, self.ledger, self.name, self.asked = turns, ledger, name, 0

        def answer(asked: Any) -> ModelStep:
            number = answers_in(asked.input)
            self.asked += 1
            if self.ledger is not None:
                self.ledger.did(f"{self.name} {number}")
            usage = Usage(requests=1, input_tokens=3, output_tokens=2, total_tokens=5)
            return ModelStep(output=turn(self.turns[number]), usage=usage)

        super().__init__([ModelStep.respond(answer) for _ in range(50)])


def answers_in(given: Any) -> int:
    """How many answers of a model an input holds: calls that stand next to each other are one."""
    if isinstance(given, str):
        return 0
    kinds = [item.get("type") if item.get("type") != "message" else item.get("role") for item in given]
    kinds = ["answer" if kind == "assistant" or str(kind).endswith("_call") else kind for kind in kinds]
    return sum(kind == "answer" and (place == 0 or kinds[place - 1] != "answer") for place, kind in enumerate(kinds))


def acting(ledger: Ledger, name: str = "act", **options: Any) -> Any:
    """A tool with one effect, named by its argument."""

    @function_tool(name_override=name, **options)
    def act(what: str) -> str:
        """Do it."""
        return ledger.did(what)

    return act


def agent(name: str, model: Any, *tools: Any, **options: Any) -> Agent[Any]:
    return Agent(name=name, model=model, tools=list(tools), **options)


__all__ = ["Ledger", "Model", "acting", "agent", "answers_in", "call", "killed", "turn"]
