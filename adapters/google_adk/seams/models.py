"""Models: every model call inside a durable execution is recorded before anything is done with its answer.

The seam is where a flow resolves its model, so the call limit, callbacks, tracing and streaming are ADK's own.
Partial answers pass through; whole ones are handed on when all of them are recorded, with the ids of their function
calls, so that no tool starts before the call it serves is fixed. An answer that was not recorded is asked for again.

A call is known by its place: the agent, its branch, and how much had been said when it was made. That is the same
when ADK goes on from a session's events in another process. What is recorded is the answer and a digest of the prompt.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.adk.flows.llm_flows.base_llm_flow import BaseLlmFlow
from google.adk.models.llm_response import LlmResponse

from durable.declare.policy import READ
from durable.kit import hook
from durable.live.scope import scope
from durable.record.events import StepDone, unpack_if
from durable.record.kinds import MODEL
from durable.step.call import Call, Placed
from durable.step.crossing import place, stream_step_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from google.adk.agents.invocation_context import InvocationContext
    from google.adk.models.base_llm import BaseLlm
    from google.adk.models.llm_request import LlmRequest
    from google.genai import types

    from durable.live.scope import Scope
    from durable.live.segment import Segment

_NAME = "chat:"
_CALLS = "google_adk.calls"


def hook_models() -> None:
    """Put the hook in place, once per process."""
    hook(BaseLlmFlow, "_get_llm", _recorded)


def _recorded(resolve: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_get_llm(self: BaseLlmFlow, invocation_context: InvocationContext) -> Any:
        model, here = await resolve(self, invocation_context), scope()
        return model if here is None else RecordedLlm(model, here, _place(here, invocation_context))

    return durable_get_llm


@dataclass(frozen=True)
class RecordedLlm:
    """A model as one call of it is made: by its place in the execution."""

    inner: BaseLlm
    scope: Scope
    identity: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def generate_content_async(self, llm_request: LlmRequest, stream: bool = False) -> AsyncIterator[LlmResponse]:  # noqa: FBT001, FBT002 - ADK's signature
        """As the model's own; what is recorded of this call is returned without calling it."""
        step = self._step(llm_request)
        answers = stream_step_async(
            step,
            lambda _: self.inner.generate_content_async(llm_request, stream=stream),
            functools.partial(Responses, step),
        )
        async with aclosing(answers):
            async for response in answers:
                yield response

    def _step(self, request: LlmRequest) -> Placed:
        name = _NAME + self.inner.model
        contents = [content.model_dump(mode="json", exclude_none=True) for content in request.contents]
        call = Call(
            name,
            arguments=[contents, str(request.config.system_instruction), sorted(request.tools_dict)],
            policy=self.scope.segment.runtime.policies.get(name, READ),
            identity=self.identity,
            kind=MODEL,
            usage=_usage,
            scope=self.scope,
        )
        return place(call)


class Responses:
    """Reads the responses of one call. Partial ones are handed on at once, whole ones when all of them are recorded.

    A partial response is heard: who shows an answer as it comes appends it to those before. ADK itself does not ask
    again after one.
    """

    def __init__(self, step: Placed) -> None:
        self.heard = False
        self._step = step
        self._whole: list[LlmResponse] = []

    def take(self, response: LlmResponse) -> list[LlmResponse]:
        """Return a partial response."""
        if response.partial:
            self.heard = True
            return [response]
        self._whole.append(response.model_copy(deep=True))  # calls are given ids; a model may keep its answer
        return []

    def whole(self) -> list[dict[str, Any]]:
        """Return the whole responses as JSON; their function calls have ids now."""
        segment = self._step.segment
        _name_calls(self._whole, segment, f"{segment.execution.id}/{self._step.key}")
        return [response.model_dump(mode="json", exclude_none=True) for response in self._whole]

    def rest(self) -> list[LlmResponse]:
        """Return the whole responses; ADK runs the tools while it reads them: the call itself is over."""
        return self._whole

    def recorded(self, value: list[dict[str, Any]]) -> list[LlmResponse]:
        """Return the recorded responses, which take the place of partial ones."""
        return [LlmResponse.model_validate(dumped) for dumped in value]


def _place(here: Scope, context: InvocationContext) -> str:
    """The identity of the call that is made now: the same wherever ADK comes to this point again."""
    said = sum(
        1
        for event in context._get_events(current_invocation=True, current_branch=True)
        if event.error_code or (event.content and event.content.parts)
    )
    agent = context.agent.name if context.agent else ""
    identity = f"model:{context.branch or agent}:{agent}:{said}"
    made: dict[str, int] = here.segment.attachments.setdefault("google_adk.model_calls", {})
    place = f"{here.path}/{identity}"
    made[place] = made.get(place, 0) + 1  # a call that is made again at the same place is another one
    return identity if made[place] == 1 else f"{identity}~{made[place]}"


def _name_calls(responses: list[LlmResponse], segment: Segment, place: str) -> None:
    """Give each function call an id that no other one in the execution has: it is the key of what the call does.

    One without gets one that follows from its place, in the form that ADK gives its own; a repeated one gets a number.
    """
    known = _known_calls(segment)
    for number, call in enumerate(_calls(responses)):
        given = call.id or f"adk-{hashlib.sha256(f'{place}/{number}'.encode()).hexdigest()[:32]}"
        ids = itertools.chain([given], (f"{given}_{again}" for again in itertools.count(2)))
        call.id = next(each for each in ids if each not in known)
        known.add(call.id)


def _calls(responses: list[LlmResponse]) -> list[types.FunctionCall]:
    parts = [part for response in responses if response.content for part in response.content.parts or ()]
    return [part.function_call for part in parts if part.function_call]


def _known_calls(segment: Segment) -> set[str]:
    """The ids of all calls that models have made in the execution, read from its journal once."""
    known: set[str] | None = segment.attachments.get(_CALLS)
    if known is None:
        answers = (
            record.value()
            for record in segment.records
            if (done := unpack_if(record, StepDone)) is not None and (done.name or "").startswith(_NAME)
        )
        responses = [LlmResponse.model_validate(dumped) for answer in answers for dumped in answer]
        known = segment.attachments[_CALLS] = {call.id for call in _calls(responses) if call.id}
    return known


def _usage(answer: list[dict[str, Any]]) -> dict[str, int]:
    names = {
        "prompt_token_count": "input_tokens",
        "candidates_token_count": "output_tokens",
        "total_token_count": "total_tokens",
    }
    counted = [response.get("usage_metadata") or {} for response in answer]
    return {
        ours: sum(int(usage.get(theirs) or 0) for usage in counted)
        for theirs, ours in names.items()
        if any(theirs in usage for usage in counted)
    }
