"""Models: every chat model call inside a durable execution is recorded before anything is done with its answer.

The seam is below callbacks and streaming handlers, so a replayed answer still reaches them as one message. Of a
stream, the last chunk is handed on when the whole answer is recorded. An answer that was not recorded is asked for
again; what is recorded is the answer, the usage and a digest of the prompt, never the prompt.
"""

from __future__ import annotations

import functools
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tracers.base import BaseTracer
from langgraph.errors import GraphBubbleUp

from durable.declare.policy import READ
from durable.kit import hook
from durable.live.scope import scope
from durable.record.kinds import MODEL
from durable.step.call import Call, Placed
from durable.step.crossing import place, run_step, run_step_async, stream_step, stream_step_async
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
        step = _step(self, messages)
        if step is None:
            return generate(self, messages, *args, **options)
        _overhear(step, options.get("run_manager"))
        return _result(run_step(step, lambda _: _plain(generate(self, messages, *args, **options))))

    return durable_generate


def _agenerating(agenerate: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_agenerate(self: BaseChatModel, messages: Any, *args: Any, **options: Any) -> Any:
        step = _step(self, messages)
        if step is None:
            return await agenerate(self, messages, *args, **options)

        _overhear(step, options.get("run_manager"))

        async def body(_: Any) -> list[dict[str, Any]]:
            return _plain(await agenerate(self, messages, *args, **options))

        return _result(await run_step_async(step, body))

    return durable_agenerate


def _streaming(stream: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
    def durable_stream(self: BaseChatModel, input: Any, *args: Any, **options: Any) -> Iterator[Any]:  # noqa: A002 - langchain's name
        step = _step(self, input)
        if step is None:
            yield from stream(self, input, *args, **options)
        else:
            yield from stream_step(step, lambda _: stream(self, input, *args, **options), Chunks)

    return durable_stream


def _astreaming(astream: Callable[..., AsyncIterator[Any]]) -> Callable[..., Any]:
    async def durable_astream(self: BaseChatModel, input: Any, *args: Any, **options: Any) -> AsyncIterator[Any]:  # noqa: A002 - langchain's name
        step = _step(self, input)
        inner: Any = functools.partial(astream, self, input, *args, **options)
        chunks = inner() if step is None else stream_step_async(step, lambda _: inner(), Chunks)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    return durable_astream


def _step(model: BaseChatModel, messages: Any) -> Placed | None:
    here = scope()
    if here is None or here.runs(_MODEL):
        return None
    name = getattr(model, "model_name", None) or getattr(model, "model", None) or type(model).__name__
    told = model._get_ls_params()  # where each integration says its provider
    known = {names.MODEL: told.get("ls_model_name", name), names.PROVIDER: told.get("ls_provider")}
    call = Call(
        f"chat:{name}",
        arguments=messages,
        policy=here.segment.runtime.policies.get(f"chat:{name}", READ),
        kind=MODEL,
        attributes={key: value for key, value in known.items() if value},
        bodies=(_MODEL,),
        usage=_usage,
        control_flow=(GraphBubbleUp,),
        scope=here,
    )
    return place(call)


def _overhear(step: Placed, run_manager: Any) -> None:
    """Take a whole call as heard when a callback has a token of it, as the graph's ``messages`` stream does.

    A second attempt would go on in the same message. Tracers do not show theirs to anybody.
    """
    hearing = (one for one in getattr(run_manager, "handlers", ()) if not isinstance(one, BaseTracer))
    if not any(hearing):
        return
    tell = run_manager.on_llm_new_token

    @functools.wraps(tell)
    def telling(*args: Any, **options: Any) -> Any:
        step.heard = True
        return tell(*args, **options)

    run_manager.on_llm_new_token = telling


def _plain(result: ChatResult) -> list[dict[str, Any]]:
    """What is recorded of an answer: a generation's text is a view of its message, and not stored twice."""
    return [
        {"message": found.message, "info": found.generation_info, "output": result.llm_output}
        for found in result.generations
    ]


def _result(recorded: list[dict[str, Any]]) -> ChatResult:
    generations = [ChatGeneration(message=found["message"], generation_info=found["info"]) for found in recorded]
    return ChatResult(generations=generations, llm_output=recorded[0]["output"] if recorded else None)


class Chunks:
    """Reads a stream of message chunks. The last one is handed on when the whole answer is recorded.

    The first chunk is heard already: callbacks, and with them the graph's ``messages`` stream, have it before the
    caller does. LangChain itself falls back to another model, or asks again, only where there was no chunk yet.
    """

    def __init__(self) -> None:
        self.heard = False
        self._chunks: list[AIMessageChunk] = []

    def take(self, chunk: AIMessageChunk) -> list[AIMessageChunk]:
        """Return the chunk before this one."""
        before, self.heard = self._chunks[-1:], True
        self._chunks.append(chunk)
        return before

    def whole(self) -> AIMessageChunk:
        """Return all chunks as one."""
        whole = self._chunks[0]
        for chunk in self._chunks[1:]:
            whole = whole + chunk
        return whole

    def rest(self) -> list[AIMessageChunk]:
        """Return the last chunk."""
        return self._chunks[-1:]

    def recorded(self, value: AIMessageChunk) -> list[AIMessageChunk]:
        """Return the recorded answer as one chunk; behind chunks of a live one, the last of those."""
        return self.rest() if len(self._chunks) > 1 else [value]


def _usage(answer: list[dict[str, Any]] | AIMessage) -> dict[str, int]:
    messages = [answer] if isinstance(answer, AIMessage) else [found["message"] for found in answer]
    counted = [getattr(message, "usage_metadata", None) or {} for message in messages]
    keys = ("input_tokens", "output_tokens", "total_tokens")
    return {key: sum(int(usage.get(key, 0)) for usage in counted) for key in keys if any(key in u for u in counted)}
