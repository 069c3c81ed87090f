"""Models: every model call inside a durable execution is recorded before anything is done with its answer.

The seam lies around the SDK's own retries, so one step is one answer, whichever model was resolved: an instance, a
name, a provider's, or that of the run's config. Of a stream, the last event is handed on when the whole answer is
recorded. An answer that was not recorded is asked for again. What is recorded is the answer, the usage and a digest of
the prompt, never the prompt.
"""

from __future__ import annotations

import functools
from contextlib import aclosing
from dataclasses import dataclass
from inspect import getclosurevars
from typing import TYPE_CHECKING, Any

from agents.exceptions import ModelBehaviorError
from agents.run_internal import run_loop
from openai.types.responses import ResponseCompletedEvent, ResponseOutputItemDoneEvent

from durable.adapters.openai_agents.seams.run_scope import STEP
from durable.adapters.openai_agents.state import model_codec
from durable.declare.policy import READ
from durable.kit import Difference, compare, hook
from durable.live.scope import scope
from durable.record.kinds import MODEL
from durable.step.call import Call, Placed
from durable.step.crossing import place, run_step_async, stream_step_async
from durable.telemetry import names as telemetry_names

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from agents.items import ModelResponse


_ANNOUNCING = frozenset({"response.created", "response.in_progress"})
"""Events after which the SDK's own retries still ask again."""


def hook_models() -> None:
    """Put the seams in place, once per process."""
    hook(run_loop, "get_response_with_retry", _asking)
    hook(run_loop, "stream_response_with_retry", _streaming)


def _asking(ask: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_ask(*, get_response: Callable[[], Any], **options: Any) -> ModelResponse:
        request = _request(get_response)
        if request is None:
            bare: ModelResponse = await ask(get_response=get_response, **options)
            return bare
        live: list[ModelResponse] = []

        async def body(_: Any) -> dict[str, Any]:
            live.append(await ask(get_response=get_response, **options))
            return model_codec.plain(live[-1], request.offered)

        recorded = await run_step_async(request.step, body)
        await request.check(recorded)
        return live[-1] if live else model_codec.response(recorded)

    return durable_ask


def _streaming(stream: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_stream(*, get_stream: Callable[[], Any], **options: Any) -> AsyncGenerator[Any, None]:
        request = _request(get_stream)
        inner = functools.partial(stream, get_stream=get_stream, **options)
        async with aclosing(inner() if request is None else _streamed(request, inner)) as events:
            async for event in events:
                yield event

    return durable_stream


class Request:
    """A model call about to be made: its step, and the names of what the model may call."""

    def __init__(self, step: Placed, offered: list[str]) -> None:
        self.step = step
        self.offered = offered

    async def check(self, recorded: dict[str, Any]) -> None:
        """Stop at drift if the recorded answer calls what was offered when it was given, and is not any more."""
        segment = self.step.segment
        on_journal_thread = segment.runtime.database.on_journal_thread
        key = f"{self.step.key}/tools"
        gone = sorted(set(model_codec.called(recorded)) & set(recorded["offered"]) - set(self.offered))
        if gone or key in segment.replay.steps:
            difference = Difference({"called": gone}, {"offered": sorted(self.offered)}) if gone else None
            await on_journal_thread(compare, segment, key, difference)


def _request(made_by: Callable[[], Any]) -> Request | None:
    """What the SDK is about to ask, read from the closure that would ask it; None outside of executions."""
    here = scope()
    if here is None:
        return None
    found = getclosurevars(made_by).nonlocals
    model = getattr(found["model"], "model", None) or type(found["model"]).__name__
    policies = here.segment.runtime.policies
    call = Call(
        STEP,
        arguments={"instructions": found["filtered"].instructions, "input": found["filtered"].input},
        policy=policies.get(f"chat:{model}") or policies.get(STEP) or READ,
        kind=MODEL,
        attributes={telemetry_names.MODEL: str(model)},
        usage=model_codec.usage,
        scope=here,
    )
    tools = [getattr(tool, "qualified_name", None) or getattr(tool, "name", "") for tool in found["all_tools"]]
    names = {*tools, *(tool.name for tool in found["all_tools"] if hasattr(tool, "name"))}
    return Request(place(call), sorted({*names, *(handoff.tool_name for handoff in found["handoffs"])}))


async def _streamed(request: Request, inner: Callable[[], AsyncGenerator[Any, None]]) -> AsyncGenerator[Any, None]:
    streamed = stream_step_async(request.step, lambda _: inner(), functools.partial(Events, request))
    async with aclosing(streamed) as events:
        async for event in events:
            if isinstance(event, RecordedEvent):
                await request.check(event.recorded)
                yield model_codec.completed(event.recorded)
            else:
                yield event


@dataclass(frozen=True)
class RecordedEvent:
    """Stands for the one event that a recorded answer is streamed as."""

    recorded: dict[str, Any]


class Events:
    """Reads the events of a streamed answer. The last one is handed on when the whole answer is recorded.

    As for the SDK's own retries, events that announce an answer are not heard yet. Where the policy has retries, an
    answer that fails before anything else was said is asked for again, its failure is no event then.
    """

    def __init__(self, request: Request) -> None:
        self.heard = False
        self._request = request
        self._items: list[Any] = []
        self._last: list[Any] = []

    def take(self, event: Any) -> list[Any]:
        """Return the event, unless it is the last one."""
        failure = _failure(event)
        if failure is not None and not self.heard and self._request.step.call.policy.retry is not None:
            raise failure
        if self._last or isinstance(event, ResponseCompletedEvent):
            self._last.append(event)
            return []
        self.heard = self.heard or event.type not in _ANNOUNCING
        if isinstance(event, ResponseOutputItemDoneEvent):
            self._items.append(event.item)
        return [event]

    def whole(self) -> dict[str, Any]:
        """Return what is recorded of the answer. Raises ModelBehaviorError, as the SDK, where there is none."""
        if not self._last:
            msg = "Model did not produce a final response!"
            raise ModelBehaviorError(msg)
        return model_codec.plain(model_codec.of_stream(self._last[0].response, self._items), self._request.offered)

    def rest(self) -> list[Any]:
        """Return the last event."""
        return self._last

    def recorded(self, value: dict[str, Any]) -> list[Any]:
        """Return one event for the whole."""
        return [RecordedEvent(value)]


def _failure(event: Any) -> Exception | None:
    """Return what the SDK raises on this event, if it is one with which an answer fails."""
    sdk: Any = run_loop  # which has these names without exporting them
    error: Exception | None = None
    if event.type in {"response.failed", "response.incomplete"}:
        error = sdk.response_terminal_failure_error(event.type, event.response)
    elif event.type in {"error", "response.error"}:
        error = sdk.response_error_event_failure_error(event.type, event)
    return error
