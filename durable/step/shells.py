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
from durable.step.begin import begin_step, place
from durable.step.call import Pending
from durable.step.complete import complete_step, never_entered, waits_inside
from durable.step.gates.pace import report
from durable.step.prepare import prepare, prepare_async
from durable.step.records import done

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from durable.checkpoint.records import NewRecord
    from durable.step.call import Recorded, StepCall

T = TypeVar("T")


def run_step(call: StepCall, body: Callable[[Pending], T]) -> T:
    """Run a synchronous body as this step, or return what is recorded of it."""
    segment = call.scope.segment
    with segment.working(), segment.runtime.telemetry.step(call):
        prepare(call)
        while isinstance(found := begin_step(call), Pending):
            if found.delay:
                segment.runtime.clock.sleep(found.delay)
                continue
            if call.policy.effect == "transactional":
                ended, finished = _transact(found, body)
            else:
                try:
                    ended, seconds = _attempt(found, body)
                except call.orderly:
                    waits_inside(found)
                    raise
                finished = complete_step(found, ended, seconds)
            if finished:
                return ended.value  # type: ignore[no-any-return]  # the body's own value
        return found.result()  # type: ignore[no-any-return]  # what the body returned when it was recorded


async def run_step_async(call: StepCall, body: Callable[[Pending], Awaitable[T]]) -> T:
    """Run an asynchronous body as this step, or return what is recorded of it.

    The event loop never waits for a commit.
    """
    segment = call.scope.segment
    if call.policy.effect == "transactional":
        msg = f"{call.name}: effect='transactional' needs a synchronous function, it runs inside the transaction"
        raise Unsupported(msg)
    surely = segment.runtime.database.surely_on_journal_thread
    place(call)
    with segment.working(), segment.runtime.telemetry.step(call):
        await prepare_async(call)
        while isinstance(found := await _begin_async(call), Pending):
            if found.delay:
                await segment.runtime.clock.sleep_async(found.delay)
                continue
            try:
                ended, seconds, cancelled = await _attempt_async(found, body)
            except call.orderly:
                await surely(waits_inside, found)
                raise
            finished = await surely(complete_step, found, ended, seconds)
            if cancelled:
                raise asyncio.CancelledError
            if finished:
                return ended.value  # type: ignore[no-any-return]  # the body's own value
        return found.result()  # type: ignore[no-any-return]  # what the body returned when it was recorded


async def _begin_async(call: StepCall) -> Recorded | Pending:
    surely = call.scope.segment.runtime.database.surely_on_journal_thread
    try:
        return await surely(begin_step, call)
    except asyncio.CancelledError:
        await surely(never_entered, call)
        raise


def _transact(pending: Pending, body: Callable[[Pending], Any]) -> tuple[Ended, bool]:
    call, outcome, began = pending.call, pending.outcome, time.perf_counter()
    ended = Ended()

    def change(connection: Any) -> list[NewRecord]:
        nonlocal ended
        context = replace(pending.context, connection=connection)
        ended, seconds = _attempt(replace(pending, context=context), body)
        if ended.error is not None:
            raise ended.error if call.scope.segment.runtime.database.passes(ended.error) else _RolledBack
        event, encoded = done(call, ended.value, {"attempt": pending.attempt, "seconds": round(seconds, 6)})
        return [event.pack(outcome.key, encoded)]

    try:
        call.scope.segment.transact(change)
    except _RolledBack:
        pass  # by the body's own error
    else:
        report(call, outcome, ended)
        event = unpack_if(outcome.result, StepDone)
        return ended, event is not None and event.as_returned
    return ended, complete_step(pending, ended, time.perf_counter() - began)


class _RolledBack(Exception):
    """The body of a transactional step has raised; nothing it wrote is kept."""


def _attempt(pending: Pending, body: Callable[[Pending], Any]) -> tuple[Ended, float]:
    segment, began = pending.call.scope.segment, time.perf_counter()

    def entered() -> Any:
        with within(pending.scope()):
            return body(pending)

    with uncut(pending), segment.runtime.telemetry.attempt(pending) as told:
        ended = told(run_attempt(entered, pending.outcome.key, pending.timeout, pending.call.passing))
    return ended, time.perf_counter() - began


@contextmanager
def uncut(pending: Pending) -> Iterator[None]:
    """Remember in the segment if the block, a body, is left in the middle without an outcome."""
    try:
        yield
    except BaseException as exc:
        if not isinstance(exc, pending.call.orderly):
            pending.call.scope.segment.cut = True
        raise


async def _attempt_async(pending: Pending, body: Callable[[Pending], Awaitable[Any]]) -> tuple[Ended, float, bool]:
    """What the attempt came to, its seconds, and whether the caller was cancelled meanwhile.

    If that is because a branch beside it waits (asyncio.TaskGroup cancels the others), the effect is let to its end.
    """
    call, began = pending.call, time.perf_counter()
    segment, call.entered, cancelled = call.scope.segment, True, False

    async def inside() -> Any:
        with within(pending.scope()):
            return await body(pending)

    with uncut(pending), segment.runtime.telemetry.attempt(pending) as told:
        running = asyncio.ensure_future(run_attempt_async(inside, pending.outcome.key, pending.timeout, call.passing))
        try:
            ended = await asyncio.shield(running)
        except asyncio.CancelledError:
            if running.done() or not segment.waits:
                running.cancel()
            ended, cancelled = await running, True
        told(ended)
    return ended, time.perf_counter() - began, cancelled
