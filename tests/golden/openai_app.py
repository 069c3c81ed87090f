"""An agent of the OpenAI Agents SDK: its tools one after another, one of which asks a person in its body, one gated in the own way of the SDK."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from agents import Agent, RunConfig, Usage, function_tool
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call

from durable import Budget, DurableError, Retry, Runtime, ask, tool
from durable.adapters.openai_agents import DurableSession, durable_agent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.golden.outside import Outside

EFFECTS = ["look_up", "reserve", "charge", "choose", "enable", "pay", "deliver"]
MODEL_CALLS = 8
OUTPUT = "all done"
UNTRACED = RunConfig(tracing_disabled=True)


def opened(url: str, outside: Outside) -> tuple[Runtime, Callable[[], str | None]]:
    """Return the runtime, and what runs the agent: its final output if it has ended, None if it waits."""
    runtime = Runtime(url, budget=Budget(steps=100, model_calls=50))
    policies: dict[str, dict[str, Any]] = {
        "look_up": {"effect": "read"},
        "reserve": {"effect": "idempotent", "retry": Retry(attempts=3, initial=0)},
        "charge": {"effect": "once"},
        "choose": {"effect": "once"},
        "enable": {"effect": "once", "approval": True},
        "pay": {"effect": "once"},
        "deliver": {"effect": "once"},
    }

    def declared(name: str) -> Any:
        @function_tool(name_override=name, failure_error_function=None, needs_approval=name == "pay")
        @tool(**policies[name])
        def act(customer: str) -> str:
            """Do it."""
            color = ask("Which color?", choices=("red", "blue")) if name == "choose" else None
            return f"{outside.do(name)} {color}" if color else outside.do(name)

        return act

    def answer(asked: Any) -> ModelStep:
        outside.asked += 1
        turn = 0 if isinstance(asked.input, str) else sum(item.get("type") == "function_call" for item in asked.input)
        calls = [function_call(name, {"customer": "acme"}, call_id=f"call_{name}") for name in EFFECTS[turn : turn + 1]]
        usage = Usage(requests=1, input_tokens=3, output_tokens=2, total_tokens=5)
        return ModelStep(output=calls or [assistant_message(OUTPUT)], usage=usage, response_id=f"answer_{turn}")

    model = ScriptedModel([ModelStep.respond(answer) for _ in range(50)])
    session_of = partial(DurableSession, runtime=runtime)
    agent = Agent(name="desk", model=model, tools=[declared(name) for name in EFFECTS])
    desk = durable_agent(agent, runtime, session=session_of, run_config=UNTRACED)

    def start() -> str | None:
        try:
            result = asyncio.run(desk.run("go", execution_id="golden", session=session_of("acme")))
        except DurableError:  # the result of the SDK has no form for a question
            if runtime.get("golden").status != "suspended":
                raise
            return None
        return result.final_output

    return runtime, start
