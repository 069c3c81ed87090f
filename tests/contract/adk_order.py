"""The order as an agent of Google ADK: durable, and bare with its DatabaseSessionService and resumability."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from google.adk.agents import LlmAgent
from google.adk.apps.app import App, ResumabilityConfig
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions.database_session_service import DatabaseSessionService
from google.adk.tools.function_tool import FunctionTool
from google.genai import types

from durable import current
from durable.adapters.google_adk import durable_runner
from durable.live.scope import scope
from tests.contract.subject import ORDER, Durable, Subject

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from durable import Runtime
    from tests.contract.outside import Outside

USER, SESSION = "ann", "s"


class Model(BaseLlm):
    """Draws the number, and calls the tools with it."""

    model: str = "contract"
    outside: Any = None

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[LlmResponse, None]:
        """One turn."""
        parts = [part for content in llm_request.contents for part in content.parts or ()]
        answers = [part.function_response.response for part in parts if part.function_response]
        results = [str(answer["result"]) for answer in answers if answer and "result" in answer]
        if not results:
            part = _call("reserve", self.outside.draw())
        elif results[-1].startswith("reserved"):
            part = _call("pay", int(results[-1].split()[-1]))
        else:
            part = types.Part(text=results[-1])
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


def _call(name: str, number: int) -> types.Part:
    return types.Part(function_call=types.FunctionCall(name=name, args={"number": number}))


def agent_of(outside: Outside) -> LlmAgent:
    """Both tools, of which one needs a confirmation."""

    def reserve(number: int) -> str:
        """Reserve it."""
        return outside.effect("reserve", number, _key())

    def pay(number: int) -> str:
        """Pay it."""
        return outside.effect("pay", number, _key())

    tools: list[Any] = [reserve, FunctionTool(pay, require_confirmation=True)]
    return LlmAgent(name="clerk", model=Model(outside=outside), tools=tools)


def _key() -> str:
    return "" if scope() is None else current().idempotency_key


class AdkOrder(Durable):
    """The agent, wrapped."""

    name = "durable ADK agent"
    input: Any = {"user_id": USER, "session_id": SESSION, "message": "order"}

    def build(self, runtime: Runtime) -> None:
        """One line."""
        durable_runner(agent_of(self.outside), runtime, name=ORDER, auto_create_session=True)


class BareAdkOrder(Subject):
    """The agent in a resumable app with the DatabaseSessionService."""

    name = "Google ADK with DatabaseSessionService"

    def begin(self) -> None:
        """Send the message."""
        self._run(new_message=_user("order"))

    def go_on(self) -> None:
        """Resume the invocation that is in the session; send the message again if there is none."""
        invocation = self._invocation()
        if invocation is None:
            self.begin()
        elif self.outcome() is None and self._asked() is None:
            self._run(invocation_id=invocation)

    def say_yes(self) -> None:
        """Confirm what is asked."""
        asked = self._asked()
        if asked is not None and self.outcome() is None:
            self._run(invocation_id=self._invocation(), new_message=_confirmation(asked))

    def go_back(self) -> str:
        """Rewind before the invocation, send the message again, and confirm."""
        first = self._invocation()
        asyncio.run(self._rewound(str(first)))
        self._run(new_message=_user("order"))
        asked = self._asked()
        if asked is not None:
            self._run(invocation_id=self._invocation(), new_message=_confirmation(asked))
        return str(self.outcome())

    def outcome(self) -> str | None:
        """The last final words."""
        said = [event for event in self._events() if event.author != "user" and event.is_final_response()]
        words = [part.text for event in said for part in (event.content.parts if event.content else None) or ()]
        found = [text for text in words if text and text.startswith("paid")]
        return found[-1] if found else None

    def faults(self) -> list[str]:
        """Calls in the session of an order that has ended that no answer follows."""
        if self.outcome() is None:
            return []
        calls, answered, asked = {}, set[str](), self._asked()
        for event in self._events():
            calls |= {call.id: call.name for call in event.get_function_calls()}
            answered |= {str(answer.id) for answer in event.get_function_responses()}
        left = [name for call_id, name in calls.items() if call_id not in answered]
        return [] if asked is not None else [f"a call of {name} has no answer" for name in left]

    def _runner(self) -> Runner:
        app = App(
            name=ORDER, root_agent=agent_of(self.outside), resumability_config=ResumabilityConfig(is_resumable=True)
        )
        service = DatabaseSessionService(f"sqlite+aiosqlite:///{self.folder / 'adk.db'}")
        return Runner(app=app, session_service=service, auto_create_session=True)

    def _run(self, **options: Any) -> None:
        async def run() -> None:
            async for _ in self._runner().run_async(user_id=USER, session_id=SESSION, **options):
                pass

        asyncio.run(run())

    async def _rewound(self, before: str) -> None:
        await self._runner().rewind_async(user_id=USER, session_id=SESSION, rewind_before_invocation_id=before)

    def _events(self) -> list[Any]:
        async def read() -> list[Any]:
            service = self._runner().session_service
            session = await service.get_session(app_name=ORDER, user_id=USER, session_id=SESSION)
            return [] if session is None else session.events

        return asyncio.run(read())

    def _invocation(self) -> str | None:
        found = [event.invocation_id for event in self._events() if event.author != "user"]
        own = found or [event.invocation_id for event in self._events()]
        return own[-1] if own else None

    def _asked(self) -> str | None:
        """The id of the confirmation that is asked for and not answered."""
        asked, answered = [], set[str]()
        for event in self._events():
            asked += [call.id for call in event.get_function_calls() if call.name == "adk_request_confirmation"]
            answered |= {str(answer.id) for answer in event.get_function_responses()}
        left = [call_id for call_id in asked if call_id not in answered]
        return left[-1] if left else None


def _user(words: str) -> types.Content:
    return types.Content(role="user", parts=[types.Part(text=words)])


def _confirmation(call_id: str) -> types.Content:
    response = {"response": json.dumps({"confirmed": True})}
    answer = types.FunctionResponse(id=call_id, name="adk_request_confirmation", response=response)
    return types.Content(role="user", parts=[types.Part(function_response=answer)])
