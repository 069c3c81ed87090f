"""The shells for steps that a framework calls: an error that is not the step's own crosses the framework's handlers.

As those of ``durable.step.shells`` and ``durable.step.stream`` in all else; see ``durable.live.crossing``.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from durable.live.crossing import crossing
from durable.step import shells, stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator

    from durable.step.call import Pending, StepCall
    from durable.step.stream import Reader

T = TypeVar("T")


def run_step(call: StepCall, body: Callable[[Pending], T]) -> T:
    """Run a synchronous body as this step, or return what is recorded of it."""
    with crossing(call.scope.segment):
        return shells.run_step(call, body)


async def run_step_async(call: StepCall, body: Callable[[Pending], Awaitable[T]]) -> T:
    """Run an asynchronous body as this step, or return what is recorded of it."""
    with crossing(call.scope.segment):
        return await shells.run_step_async(call, body)


def stream_step(
    call: StepCall, source: Callable[[Pending], Iterator[Any]], reader: Callable[[], Reader[Any, T]]
) -> Generator[T, None, None]:
    """Read a synchronous source as this step, or what is recorded of it."""
    with crossing(call.scope.segment):
        yield from stream.stream_step(call, source, reader)


async def stream_step_async(
    call: StepCall, source: Callable[[Pending], AsyncIterator[Any]], reader: Callable[[], Reader[Any, T]]
) -> AsyncGenerator[T, None]:
    """Read an asynchronous source as this step, or what is recorded of it."""
    with crossing(call.scope.segment):
        async with aclosing(stream.stream_step_async(call, source, reader)) as items:
            async for item in items:
                yield item
