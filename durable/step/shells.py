"""The two shells that drive a whole step, one synchronous and one asynchronous; they decide nothing.

Each asks ``begin_step``, runs the body as an attempt inside the step's own scope, and hands what it came to to
``complete_step``.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from durable.errors import Unsupported
from durable.live.scope import within
from durable.record.events import StepDone, unpack_if
from durable.step.attempt import Ended, run_attempt, run_attempt_async
from durable.step.begin import begin_step
from durable.step.call import Pending
from durable.step.complete import complete_step, never_entered, waits_inside
from durable.step.dependencies import prepare, prepare_async
from durable.step.gates.pace import report
from durable.step.records import done

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from durable.checkpoint.records import NewRecord
    from durable.step.call import Placed, Recorded

T = TypeVar("T")


def run_step(placed: Placed, body: Callable[[Pending], T]) -> T:
    """Run a synchronous body as this step, or return what is recorded of it."""
    segment, call = placed.segment, placed.call
    with segment.working(), segment.runtime.telemetry.step(placed):
        prepare(placed)
        while isinstance(step := begin_step(placed), Pending):
            if step.delay:
                segment.runtime.clock.sleep(step.delay)
                continue
            if call.policy.does.in_transaction:
                ended, finished = _transact(step, body)
            else:
                try:
                    ended, seconds = _attempt(step, body)
                except call.waiting:
                    waits_inside(step)
                    raise
                finished = complete_step(step, ended, seconds)
            if finished:
                return ended.value  # type: ignore[no-any-return]  # the body's own value
        return step.result()  # type: ignore[no-any-return]  # what the body returned when it was recorded


async def run_step_async(placed: Placed, body: Callable[[Pending], Awaitable[T]]) -> T:
    """Run an asynchronous body as this step, or return what is recorded of it.

    The event loop never waits for a commit.
    """
    segment, call, entered = placed.segment, placed.call, False
    if call.policy.does.in_transaction:
        msg = f"{call.name}: effect='transactional' needs a synchronous function, it runs inside the transaction"
        raise Unsupported(msg)
    surely = segment.runtime.database.surely_on_journal_thread
    with segment.working(), segment.runtime.telemetry.step(placed):
        await prepare_async(placed)
        while isinstance(step := await _begin_async(placed, entered=entered), Pending):
            if step.delay:
                await segment.runtime.clock.sleep_async(step.delay)
                continue
            entered = True
            try:
                ended, seconds, cancelled = await _attempt_async(step, body)
            except call.waiting:
                await surely(waits_inside, step)
                raise
            finished = await surely(complete_step, step, ended, seconds)
            if cancelled:
                raise asyncio.CancelledError
            if finished:
                return ended.value  # type: ignore[no-any-return]  # the body's own value
        return step.result()  # type: ignore[no-any-return]  # what the body returned when it was recorded


async def _begin_async(placed: Placed, *, entered: bool) -> Recorded | Pending:
    surely = placed.segment.runtime.database.surely_on_journal_thread
    try:
        return await surely(begin_step, placed)
    except asyncio.CancelledError:
        if not entered:
            await surely(never_entered, placed)
        raise


def _transact(pending: Pending, body: Callable[[Pending], Any]) -> tuple[Ended, bool]:
    segment, began, ended = pending.segment, time.perf_counter(), Ended()

    def change(connection: Any) -> list[NewRecord]:
        nonlocal ended
        context = replace(pending.context, connection=connection)
        ended, seconds = _attempt(replace(pending, context=context), body)
        if ended.error is not None:
            raise ended.error if segment.runtime.database.passes(ended.error) else _RolledBack
        took = {"attempt": pending.attempt, "seconds": round(seconds, 6)}
        event, encoded = done(pending.placed, ended.value, took)
        return [event.pack(pending.key, encoded)]

    try:
        segment.transact(change)
    except _RolledBack:
        pass  # by the body's own error
    else:
        report(pending, ended)
        event = unpack_if(pending.outcome.result, StepDone)
        return ended, event is not None and event.as_returned
    return ended, complete_step(pending, ended, time.perf_counter() - began)


class _RolledBack(Exception):
    """The body of a transactional step has raised; nothing it wrote is kept."""


def _attempt(pending: Pending, body: Callable[[Pending], Any]) -> tuple[Ended, float]:
    began = time.perf_counter()

    def entered() -> Any:
        with within(pending.scope()):
            return body(pending)

    with uncut(pending), pending.segment.runtime.telemetry.attempt(pending) as came_to:
        ended = came_to(run_attempt(entered, pending.key, pending.timeout, pending.call.control_flow))
    return ended, time.perf_counter() - began


@contextmanager
def uncut(pending: Pending) -> Iterator[None]:
    """Remember in the segment if the block, a body, is left in the middle without an outcome."""
    try:
        yield
    except BaseException as exc:
        if not isinstance(exc, pending.call.waiting):
            pending.segment.cut = True
        raise


async def _attempt_async(pending: Pending, body: Callable[[Pending], Awaitable[Any]]) -> tuple[Ended, float, bool]:
    """Return what the attempt came to, its seconds, and True if the caller was cancelled meanwhile.

    If that is because a branch beside it waits (asyncio.TaskGroup cancels the others), the effect is let to its end.
    """
    segment, began, cancelled = pending.segment, time.perf_counter(), False

    async def inside() -> Any:
        with within(pending.scope()):
            return await body(pending)

    with uncut(pending), segment.runtime.telemetry.attempt(pending) as came_to:
        attempt = run_attempt_async(inside, pending.key, pending.timeout, pending.call.control_flow)
        running = asyncio.ensure_future(attempt)
        try:
            ended = await asyncio.shield(running)
        except asyncio.CancelledError:
            if running.done() or not segment.waits:
                running.cancel()
            ended, cancelled = await running, True
        came_to(ended)
    return ended, time.perf_counter() - began, cancelled
