"""The shells for steps that a framework calls: an error that is not the step's own crosses the framework's handlers.

As those of ``durable.step.shells`` and ``durable.step.stream`` in all else; see ``durable.live.crossing``.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from durable.live.crossing import crossing
from durable.step import begin, shells, stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator

    from durable.step.call import Call, Pending, Placed
    from durable.step.stream import Reader

T = TypeVar("T")


def place(call: Call) -> Placed:
    """Match the call with its journal record."""
    with crossing(call.segment):
        return begin.place(call)


def run_step(placed: Placed, body: Callable[[Pending], T]) -> T:
    """Run a synchronous body as this step, or return what is recorded of it."""
    with crossing(placed.segment):
        return shells.run_step(placed, body)


async def run_step_async(placed: Placed, body: Callable[[Pending], Awaitable[T]]) -> T:
    """Run an asynchronous body as this step, or return what is recorded of it."""
    with crossing(placed.segment):
        return await shells.run_step_async(placed, body)


def stream_step(
    placed: Placed, source: Callable[[Pending], Iterator[Any]], reader: Callable[[], Reader[Any, T]]
) -> Generator[T, None, None]:
    """Read a synchronous source as this step, or what is recorded of it."""
    with crossing(placed.segment):
        yield from stream.stream_step(placed, source, reader)


async def stream_step_async(
    placed: Placed, source: Callable[[Pending], AsyncIterator[Any]], reader: Callable[[], Reader[Any, T]]
) -> AsyncGenerator[T, None]:
    """Read an asynchronous source as this step, or what is recorded of it."""
    with crossing(placed.segment):
        async with aclosing(stream.stream_step_async(placed, source, reader)) as items:
            async for item in items:
                yield item
