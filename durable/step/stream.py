"""The third shell: a step whose answer comes in chunks, which a reader has while the rest is still on its way.

It is a step as any other one: under the same gates, with the same retries, delays, spans, timeouts and doubts, and its
outcome is recorded before its last chunk is handed on. Four questions are a stream's own.

**A failed attempt of which the reader has heard.** An attempt that fails before anybody has heard of it is followed by
another one, as the policy says. Once something was heard the failure is final: a second attempt would say the
beginning again, and the reader would take both for one message. No framework does that bare either: the OpenAI SDK
retries a stream until its first output event, LangChain falls back until the first chunk, ADK does not retry. A Reader
says what counts as heard: chunks that it keeps for itself, and those that say nothing yet (``response.created``), do
not. The record of such a failure says ``heard``.

**A reader who leaves in the middle** (``close``, ``aclose``, ``break``, a cancelled task). The source is closed and
nothing is recorded as finished. A call that only reads is made again when it comes by again; one with effect ``once``
is in doubt. An asynchronous source is read to its end without its reader if a branch beside it waits, as the body of a
whole step is run to its end then.

**A reader who holds a chunk** is not on its way: nobody waits for it, as for code between two steps. If the segment
ends meanwhile, the stream ends with Suspended. Seconds in which a chunk is held count towards the ``timeout``, as the
source stays open.

**A replay** hands on the recorded whole, in the chunks that the Reader makes of it.

The source runs apart from its reader, the synchronous one in a context of its own (and in the reader's thread, but for
attempts with a timeout), the asynchronous one in a task of its own: neither sees the other's context variables.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from durable.errors import StepTimeout, Unsupported
from durable.live.scope import within
from durable.step.attempt import Ended, run_attempt
from durable.step.begin import begin_step
from durable.step.call import Pending
from durable.step.complete import complete_step, waits_inside
from durable.step.dependencies import prepare
from durable.step.shells import run_step_async, uncut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator

    from durable.step.call import Placed

Chunk = TypeVar("Chunk")
Item = TypeVar("Item")
In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)
_END: Any = object()


class Reader(Protocol[In_contra, Out_co]):
    """Reads one attempt, or one record: what is handed on of it, and what is recorded.

    ``heard`` is true as soon as another attempt would repeat something, and stays true.
    """

    heard: bool

    def take(self, chunk: In_contra) -> Iterable[Out_co]:
        """Take the next chunk of the source; return what is handed on now."""

    def whole(self) -> Any:
        """Return what is recorded of the attempt, which has come to its end."""

    def rest(self) -> Iterable[Out_co]:
        """Return what is handed on once the whole is recorded."""

    def recorded(self, value: Any) -> Iterable[Out_co]:
        """Return what is handed on of a recorded value, behind what was handed on of an attempt before."""


def stream_step(
    placed: Placed, source: Callable[[Pending], Iterator[Chunk]], reader: Callable[[], Reader[Chunk, Item]]
) -> Generator[Item, None, None]:
    """Read a synchronous source as this step, or what is recorded of it; each attempt has a Reader of its own.

    Raises what ``run_step`` raises.
    """
    _not_transactional(placed)
    segment, flow, context = placed.segment, _driven(placed, source, reader), contextvars.copy_context()
    rest: Iterator[Item] = iter(())
    try:
        with segment.working():
            while True:
                item = context.run(next, flow)
                with segment.aside():
                    yield item
    except StopIteration as end:
        rest = end.value
    finally:
        context.run(flow.close)
    yield from rest


async def stream_step_async(
    placed: Placed, source: Callable[[Pending], AsyncIterator[Chunk]], reader: Callable[[], Reader[Chunk, Item]]
) -> AsyncGenerator[Item, None]:
    """Read an asynchronous source as this step, or what is recorded of it; each attempt has a Reader of its own.

    Raises what ``run_step_async`` raises.
    """
    _not_transactional(placed)
    reading, wholes, handing = reader(), list[Any](), _Handing()

    async def body(pending: Pending) -> Any:
        nonlocal reading
        reading, chunks = reader(), source(pending)
        try:
            async for chunk in chunks:
                for item in _taken(placed, reading, chunk):
                    await handing.give(item)
                    if handing.left and not placed.segment.waits:
                        raise asyncio.CancelledError  # as the shell cancels a body, which has not come here yet
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()
        wholes.append(reading.whole())
        return wholes[-1]

    step = asyncio.ensure_future(run_step_async(placed, body))
    step.add_done_callback(handing.end)
    try:
        while (item := await handing.next()) is not _END:
            with placed.segment.aside():
                yield item
        value = await step
    finally:
        await handing.leave(step)
    live = bool(wholes) and value is wholes[-1]
    for item in reading.rest() if live else reading.recorded(value):
        yield item


class _Handing:
    """Hands items from the task of a step to its reader, one at a time: the source goes on when the next is wanted."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[Any] = asyncio.Queue()
        self._wanted = asyncio.Event()
        self.left = False

    async def give(self, item: Any) -> None:
        """Return when the reader wants the next item, or has left."""
        if not self.left:
            self._wanted.clear()
            self._items.put_nowait(item)
            await self._wanted.wait()

    async def next(self) -> Any:
        """Return the next item, ``_END`` behind the last."""
        self._wanted.set()
        return await self._items.get()

    def end(self, _: object) -> None:
        """Tell the reader that nothing is given any more."""
        self._items.put_nowait(_END)

    async def leave(self, step: asyncio.Future[Any]) -> None:
        """Cancel the step unless it has ended, and wait for its end: nobody reads any more."""
        self.left = True
        self._wanted.set()
        if not step.done():
            step.cancel()
            await asyncio.wait([step])
        if not step.cancelled():
            step.exception()  # seen: whoever left does not want to know


def _driven(placed: Placed, source: Any, reader: Any) -> Generator[Any, None, Iterator[Any]]:
    """Yield what is handed on while the step is on its way; return what is handed on when it is over."""
    segment, reading = placed.segment, reader()
    with segment.runtime.telemetry.step(placed):
        prepare(placed)
        while isinstance(pending := begin_step(placed), Pending):
            if pending.delay:
                segment.runtime.clock.sleep(pending.delay)
                continue
            reading, began = reader(), time.perf_counter()
            try:
                ended = yield from _attempt(pending, source, reading)
            except placed.call.waiting:
                waits_inside(pending)
                raise
            if complete_step(pending, ended, time.perf_counter() - began):
                return iter(reading.rest())
        return iter(reading.recorded(pending.result()))


def _attempt(pending: Pending, source: Any, reading: Reader[Any, Any]) -> Generator[Any, None, Ended]:
    call, key, limit = pending.call, pending.key, pending.timeout
    parts, began, ended = _parts(pending, source, reading), time.perf_counter(), Ended()
    with uncut(pending), within(pending.scope()), pending.segment.runtime.telemetry.attempt(pending) as came_to:
        try:
            while ended.error is None and not isinstance(ended.value, _Whole):
                yield from ended.value or ()
                left = None if limit is None else max(0.001, limit - (time.perf_counter() - began))
                ended = run_attempt(lambda: next(parts), key, left, call.control_flow)
        finally:
            left_behind = isinstance(ended.error, StepTimeout) and ended.error.step_key == key
            if not left_behind:
                parts.close()
        if limit is not None and left_behind:
            ended = Ended(error=StepTimeout(key, limit), unknown=True)
        elif isinstance(ended.value, _Whole):
            ended = Ended(ended.value.value)
        return came_to(ended)  # type: ignore[no-any-return]  # gives back what it is given


class _Whole:
    """Holds what is recorded of an attempt; the last that its source comes to."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _parts(pending: Pending, source: Any, reading: Reader[Any, Any]) -> Generator[list[Any] | _Whole, None, None]:
    chunks = source(pending)
    try:
        for chunk in chunks:
            yield _taken(pending.placed, reading, chunk)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    yield _Whole(reading.whole())


def _taken(placed: Placed, reading: Reader[Any, Any], chunk: Any) -> list[Any]:
    items = list(reading.take(chunk))
    placed.heard = placed.heard or reading.heard
    return items


def _not_transactional(placed: Placed) -> None:
    if placed.call.policy.does.in_transaction:
        msg = (
            f"{placed.call.name}: effect='transactional' cannot be streamed, its reader would hold the transaction open"
        )
        raise Unsupported(msg)
