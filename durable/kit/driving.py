"""Driving: a call of a wrapped agent is one segment of its execution, closed as what came of the call says.

A caller who leaves a generator early, or cancels the task, has decided to stop: the execution is let go as abandoned,
and nobody continues it by itself. A process that is stopped gives the execution back, and a worker goes on with it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from durable.errors import Suspended
from durable.live.scope import within
from durable.run.block import leave, settle
from durable.run.close import close

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from durable.live.scope import Scope
    from durable.live.segment import Segment

T = TypeVar("T")

LEFT = (asyncio.CancelledError, KeyboardInterrupt)
"""What a caller raises in a call that it does not want to hear the end of."""


@dataclass(slots=True)
class Drive:
    """An execution in the hands of this process: claimed, or (``ended``) only read again.

    ``output`` is what the call has come to so far. ``complete`` says that a caller who stops listening now has heard
    everything, so that the execution has succeeded.
    """

    segment: Segment
    ended: bool
    output: Any = None
    complete: bool = False


class driving:  # noqa: N801 - a context manager
    """Make the block the call that drives an execution: ``with`` in generators, ``async with`` in async ones.

    What the caller should see is raised: ExecutionCancelled, ExecutionFailed, LeaseLost, or what the block raised. If
    the execution waits, that is ExecutionSuspended; with ``shows_waiting`` the block ends quietly, and the framework
    says in its own way what is waited for. Errors in ``gives_back`` mean that the process is draining.
    """

    def __init__(
        self, drive: Drive, *, shows_waiting: bool = False, gives_back: tuple[type[BaseException], ...] = ()
    ) -> None:
        self._drive = drive
        self._shows_waiting = shows_waiting
        self._gives_back = gives_back

    def __enter__(self) -> Drive:
        return self._drive

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        return self._abandon(error) if isinstance(error, GeneratorExit) else self._end(error)

    async def __aenter__(self) -> Drive:
        return self._drive

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if isinstance(error, GeneratorExit):
            return self._abandon(error)  # a generator that is being closed may not wait
        return await self._drive.segment.runtime.database.surely_on_journal_thread(self._end, error)

    def _abandon(self, closed: GeneratorExit) -> bool:
        drive = self._drive
        if not drive.ended:
            drive.segment.abandoned = not drive.complete
            close(drive.segment, drive.output, None if drive.complete else closed)
        return False

    def _end(self, error: BaseException | None) -> bool:
        """Record how the block ended. True if what it raised is not for its caller."""
        drive = self._drive
        if isinstance(error, LEFT) and not drive.ended:
            drive.segment.abandoned = True
        if drive.ended or not self._shows_waiting:
            leave(drive, error)
            return False
        if isinstance(error, self._gives_back):
            drive.segment.draining = True
            settle(drive, Suspended())
            return False
        raised = settle(drive, error)
        if raised is not None and raised is not error:
            raise raised from raised.__cause__ or raised.__context__
        return raised is None


async def each_within(scope: Scope, items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Yield the items, each made inside the scope: a context variable set in a generator would leak to its caller."""
    nothing = object()
    while True:
        with within(scope):
            item = await anext(items, nothing)
        if item is nothing:
            return
        yield item  # type: ignore[misc]  # of T: nothing has returned
