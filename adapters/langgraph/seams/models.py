"""Models: every chat model call inside a durable execution is recorded before anything is done with its answer.

The seam is below callbacks and streaming handlers, so a replayed answer still reaches them as one message. Of a
stream, the last chunk is handed on when the whole answer is recorded. An answer that was not recorded is asked for
again; what is recorded is the answer, the usage and a digest of the prompt, never the prompt.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.errors import GraphBubbleUp

from durable.declare.policy import READ
from durable.kit import hook
from durable.live.scope import scope, within
from durable.step.attempt import Ended
from durable.step.begin import begin_step
from durable.step.call import Pending, Recorded, StepCall
from durable.step.complete import complete_step
from durable.step.shells import run_step, run_step_async
from durable.telemetry import names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


_MODEL = "(model)"
"""Marks the scope inside a model call, so that a streamed call is not recorded a second time below."""


def hook_models() -> None:
    """Put the hooks in place, once per process."""
    hook(BaseChatModel, "_generate_with_cache", _generating)
    hook(BaseChatModel, "_agenerate_with_cache", _agenerating)
    hook(BaseChatModel, "stream", _streaming)
    hook(BaseChatModel, "astream", _astreaming)


def _generating(generate: Callable[..., Any]) -> Callable[..., Any]:
    def durable_generate(self: BaseChatModel, messages: Any, *args: Any, **options: Any) -> Any:
        call = _step(self, messages)
        if call is None:
            return generate(self, messages, *args, **options)
        return _result(run_step(call, lambda _: _plain(generate(self, messages, *args, **options))))

    return durable_generate


def _agenerating(agenerate: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_agenerate(self: BaseChatModel, messages: Any, *args: Any, **options: Any) -> Any:
        call = _step(self, messages)
        if call is None:
            return await agenerate(self, messages, *args, **options)

        async def body(_: Any) -> list[dict[str, Any]]:
            return _plain(await agenerate(self, messages, *args, **options))

        return _result(await run_step_async(call, body))

    return durable_agenerate


def _streaming(stream: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
    def durable_stream(self: BaseChatModel, input: Any, *args: Any, **options: Any) -> Iterator[Any]:  # noqa: A002 - langchain's name
        call = _step(self, input)
        if call is None:
            yield from stream(self, input, *args, **options)
            return
        found = begin_step(call)
        if isinstance(found, Recorded):
            yield found.result()
            return
        chunks: list[AIMessageChunk] = []
        inner, began = stream(self, input, *args, **options), time.perf_counter()
        while (chunk := _next(found, inner)) is not None:
            if chunks:
                yield chunks[-1]
            chunks.append(chunk)
        complete_step(found, Ended(_whole(chunks)), time.perf_counter() - began)
        yield chunks[-1]

    return durable_stream


def _astreaming(astream: Callable[..., AsyncIterator[Any]]) -> Callable[..., Any]:
    async def durable_astream(self: BaseChatModel, input: Any, *args: Any, **options: Any) -> AsyncIterator[Any]:  # noqa: A002 - langchain's name
        call = _step(self, input)
        if call is None:
            async for chunk in astream(self, input, *args, **options):
                yield chunk
            return
        on_journal_thread = call.scope.segment.runtime.database.on_journal_thread
        found = await on_journal_thread(begin_step, call)
        if isinstance(found, Recorded):
            yield found.result()
            return
        chunks: list[AIMessageChunk] = []
        inner, began = astream(self, input, *args, **options), time.perf_counter()
        while (chunk := await _anext(found, inner)) is not None:
            if chunks:
                yield chunks[-1]
            chunks.append(chunk)
        await on_journal_thread(complete_step, found, Ended(_whole(chunks)), time.perf_counter() - began)
        yield chunks[-1]

    return durable_astream


def _step(model: BaseChatModel, messages: Any) -> StepCall | None:
    here = scope()
    if here is None or _MODEL in here.body_of:
        return None
    name = getattr(model, "model_name", None) or getattr(model, "model", None) or type(model).__name__
    told = model._get_ls_params()  # where each integration says its provider
    known = {names.MODEL: told.get("ls_model_name", name), names.PROVIDER: told.get("ls_provider")}
    return StepCall(
        f"chat:{name}",
        arguments=messages,
        policy=here.segment.runtime.policies.get(f"chat:{name}", READ),
        kind="model",
        attributes={key: value for key, value in known.items() if value},
        aliases=(_MODEL,),
        gentle=True,
        usage=_usage,
        passing=(GraphBubbleUp,),
        scope=here,
    )


def _plain(result: ChatResult) -> list[dict[str, Any]]:
    """What is recorded of an answer: a generation's text is a view of its message, and not stored twice."""
    return [
        {"message": found.message, "info": found.generation_info, "output": result.llm_output}
        for found in result.generations
    ]


def _result(recorded: list[dict[str, Any]]) -> ChatResult:
    generations = [ChatGeneration(message=found["message"], generation_info=found["info"]) for found in recorded]
    return ChatResult(generations=generations, llm_output=recorded[0]["output"] if recorded else None)


def _next(pending: Pending, inner: Iterator[Any]) -> Any:
    with within(pending.scope()):
        return next(inner, None)


async def _anext(pending: Pending, inner: AsyncIterator[Any]) -> Any:
    with within(pending.scope()):
        return await anext(inner, None)


def _whole(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole


def _usage(answer: list[dict[str, Any]] | AIMessage) -> dict[str, int]:
    messages = [answer] if isinstance(answer, AIMessage) else [found["message"] for found in answer]
    counted = [getattr(message, "usage_metadata", None) or {} for message in messages]
    keys = ("input_tokens", "output_tokens", "total_tokens")
    return {key: sum(int(usage.get(key, 0)) for usage in counted) for key in keys if any(key in u for u in counted)}
