"""Streams: ``run_streamed`` returns at once, so its execution is opened in the task that the SDK runs the loop in.

The result is the SDK's own, with its queue, tasks and ``cancel``. The part that was finished before is streamed as
items, each model answer as one event without deltas; the rest is live. A stream that is cancelled leaves its execution
suspended: the same call with the same execution id goes on.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from agents.run_internal.run_steps import QueueCompleteSentinel

from durable.adapters.openai_agents.entry.drive import finish, run_of
from durable.kit import driving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from agents import RunResultStreaming

    from durable.kit import Drive

_opening: ContextVar[Callable[[], Awaitable[Drive]] | None] = ContextVar("durable_openai_opening", default=None)


@contextmanager
def opening(open_it: Callable[[], Awaitable[Drive]]) -> Iterator[None]:
    """The streamed run that is started in this block is an execution, opened by ``open_it`` in the run's own task."""
    token = _opening.set(open_it)
    try:
        yield
    finally:
        _opening.reset(token)


@contextmanager
def beginning(result: RunResultStreaming) -> Iterator[None]:
    """What is raised in this block, before the SDK's loop has begun, ends the stream; its consumer is told."""
    try:
        yield
    except BaseException:
        result.is_complete = True
        result._event_queue.put_nowait(QueueCompleteSentinel())
        raise


@asynccontextmanager
async def opened(result: RunResultStreaming) -> AsyncIterator[None]:
    """The block is the SDK's streaming loop, in the execution it was started for if it was started for one."""
    open_it = _opening.get()
    if open_it is None:
        yield
        return
    _opening.set(None)
    with beginning(result):
        drive = await open_it()
    returned = False
    try:
        async with driving(drive):
            try:
                with run_of(drive.segment):
                    yield
                returned = True
                if result._stored_exception is not None:  # the loop returned, its consumer is told by this
                    raise result._stored_exception
            except asyncio.CancelledError:
                drive.segment.abandoned = True
                raise
            stopped = result._cancel_mode != "none" and result.final_output is None and not result.interruptions
            drive.segment.abandoned = stopped
            finish(drive, result)
    except BaseException as exc:
        if not returned or exc is not result._stored_exception:
            raise
