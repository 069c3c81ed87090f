"""An agent of Google ADK: its tools one after another, one of which asks a person in its body, one gated in the own way of the framework."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from google.adk.agents import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.tools import FunctionTool
from google.genai import types
from pydantic import PrivateAttr

from durable import Budget, Retry, Runtime, ask, tool
from durable.adapters.google_adk import durable_runner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.golden.outside import Outside

EFFECTS = ["look_up", "reserve", "charge", "choose", "enable", "pay", "deliver"]
MODEL_CALLS = 8
OUTPUT = "all done"
USER = {"user_id": "ann", "session_id": "acme"}


class Planned(BaseLlm):
    """A model that calls the tools one after another, and then has done."""

    model: str = "planned"
    _outside: Any = PrivateAttr()

    def __init__(self, outside: Outside) -> None:
        super().__init__()
        self._outside = outside

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[LlmResponse, None]:
        self._outside.asked += 1
        parts = [part for content in llm_request.contents for part in content.parts or ()]
        turn = sum(part.function_response is not None for part in parts)
        said = [
            types.Part(function_call=types.FunctionCall(name=name, args={"customer": "acme"}))
            for name in EFFECTS[turn : turn + 1]
        ]
        usage = types.GenerateContentResponseUsageMetadata(
            prompt_token_count=3, candidates_token_count=2, total_token_count=5
        )
        content = types.Content(role="model", parts=said or [types.Part(text=OUTPUT)])
        yield LlmResponse(content=content, usage_metadata=usage)


def opened(url: str, outside: Outside) -> tuple[Runtime, Callable[[], str | None]]:
    """Return the runtime, and what runs the agent: its last words if it has ended, None if it waits."""
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
        async def act(customer: str) -> dict[str, Any]:
            """Do it."""
            color = await ask("Which color?", choices=("red", "blue")) if name == "choose" else None
            return {"told": outside.do(name), "color": color}

        act.__name__ = name
        return FunctionTool(tool(**policies[name])(act), require_confirmation=name == "pay")

    agent = LlmAgent(name="provisioning", model=Planned(outside), tools=[declared(name) for name in EFFECTS])
    runner = durable_runner(agent, runtime)

    begun = {"new_message": types.UserContent("go"), "state_delta": {"topic": "seats", "user:plan": "gold"}}

    async def run() -> str | None:
        place = {"app_name": runner.app_name, **USER}
        if await runner.session_service.get_session(**place) is None:
            await runner.session_service.create_session(**place)
        texts: list[str] = []
        async for event in runner.run_async(**USER, **begun, execution_id="golden"):
            texts += [part.text for part in (event.content.parts or () if event.content else ()) if part.text]
        return texts[-1] if texts else None

    return runtime, lambda: asyncio.run(run())
