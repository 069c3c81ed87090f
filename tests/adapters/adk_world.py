"""What the tests of the ADK adapter are told in: models that follow a script, apps, and processes that die."""

from __future__ import annotations

import asyncio
import itertools

from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.genai import types
from pydantic import PrivateAttr

USER = "ann"


def text(words):
    return types.Part(text=words)


def call(name, **args):
    return types.Part(function_call=types.FunctionCall(name=name, args=args))


def user(words):
    return types.Content(role="user", parts=[text(words)])


class Script(BaseLlm):
    """A model that says ``turns[n]`` after it has spoken ``n`` times since the user's last words; ``asked`` counts.

    It gives its calls no ids, as Gemini. A turn may be a function of the request, or an exception.
    """

    model: str = "script"
    turns: list = []
    _asked: list = PrivateAttr(default_factory=list)

    @property
    def asked(self):
        return len(self._asked)

    @property
    def requests(self):
        return self._asked

    async def generate_content_async(self, llm_request, stream=False):
        self._asked.append(llm_request)
        turn = self.turns[min(self._spoken(llm_request.contents), len(self.turns) - 1)]
        if callable(turn):
            turn = turn(llm_request)
        if isinstance(turn, Exception):
            raise turn
        parts = [part.model_copy(deep=True) for part in turn]
        if stream:
            for part in parts:
                if part.text:
                    for word in part.text.split():
                        said = types.Content(role="model", parts=[text(word)])
                        yield LlmResponse(content=said, partial=True)
        usage = types.GenerateContentResponseUsageMetadata(
            prompt_token_count=10, candidates_token_count=2, total_token_count=12
        )
        yield LlmResponse(content=types.Content(role="model", parts=parts), usage_metadata=usage)

    @staticmethod
    def _spoken(contents):
        since = itertools.takewhile(
            lambda content: (
                not (content.role == "user" and any(p.text and p.text == "go" for p in content.parts or ()))
            ),
            reversed(contents),
        )
        return sum(1 for content in since if content.role == "model")


async def events_of(runner, message="go", *, session="s", **options):
    """All events of a call; the session is made if it is missing."""
    service = runner.session_service
    if await service.get_session(app_name=runner.app_name, user_id=USER, session_id=session) is None:
        await service.create_session(app_name=runner.app_name, user_id=USER, session_id=session)
    if isinstance(message, str):
        message = user(message)
    return [event async for event in runner.run_async(user_id=USER, session_id=session, new_message=message, **options)]


def run(runner, message="go", **options):
    return asyncio.run(events_of(runner, message, **options))


def final(events):
    """The text of the last final response."""
    found = [event for event in events if event.is_final_response() and event.content and event.content.parts]
    return "".join(part.text or "" for part in found[-1].content.parts) if found else None


def session_of(runner, session="s"):
    return asyncio.run(runner.session_service.get_session(app_name=runner.app_name, user_id=USER, session_id=session))


def told(session):
    """What a session says, in short."""
    found = []
    for event in session.events:
        for part in (event.content.parts if event.content else None) or ():
            if part.text:
                found.append(f"{event.author}: {part.text}")
            elif part.function_call:
                found.append(f"{event.author} calls {part.function_call.name}")
            elif part.function_response:
                found.append(f"{part.function_response.name} -> {part.function_response.response}")
    return found
