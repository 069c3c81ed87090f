"""Blocks: a plain piece of code as an execution, ``with runtime.execution(id):``, continued by running it again.

Recorded calls are answered from the journal: steps, tools, and the model calls and tools of every framework whose seams
are in place. Code between them runs again. A worker cannot continue a block, because it does not know its code: after a
crash, or a decision, run the same code with the same id. If the execution has ended, its record is read again and
nothing runs.

``async with`` lets the event loop go on while the execution is claimed and closed, and waits for branches that are
still in a step; ``with`` does not wait for them in async code.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from durable.errors import (
    Cancelled,
    ExecutionCancelled,
    ExecutionSuspended,
    InvalidConfiguration,
    Suspended,
    Unsupported,
)
from durable.live.crossing import uncrossed
from durable.live.ending import is_poisoned
from durable.live.scope import root, running, within
from durable.run.close import close
from durable.run.ended import ended_segment
from durable.run.handle import Handle, outcome
from durable.run.open import open_segment, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.records import Execution
    from durable.live.segment import Segment
    from durable.run.process import Process


class Held(Protocol):
    """Execution in the hands of this process: claimed, or (``ended``) only read again."""

    segment: Segment
    ended: bool
    output: Any


class Block:
    """Block of code as an execution; see ``Runtime.execution``. Entering gives a Handle.

    Not to be entered twice at a time.

    Entering raises ExecutionBusy, ExecutionConflict, ExecutionCancelled, ThreadBusy. Leaving raises ExecutionSuspended
    where a call inside has to wait, ExecutionFailed where it failed before and the code does not fail any more, and
    otherwise what the code raised, which fails the execution.
    """

    segment: Segment
    ended: bool
    output: Any = None

    def __init__(self, runtime: Process, execution_id: str, name: str, options: Mapping[str, Any]) -> None:
        if name in runtime.apps:
            msg = f"{name!r} is the name of an app, which workers would run in place of the block; use another name="
            raise InvalidConfiguration(msg)
        self._runtime = runtime
        self._id = execution_id
        self._name = name
        self._options = options
        self._entered = ExitStack()

    def __enter__(self) -> Handle:
        self._claim()
        return self._begin()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._entered.close()
        _, task = running()
        leave(self, error, patience=None if task is None else 0)

    async def __aenter__(self) -> Handle:
        surely = self._runtime.database.surely_on_journal_thread
        try:
            await surely(self._claim)
        except asyncio.CancelledError as exc:
            if hasattr(self, "segment"):
                await surely(leave, self, exc)
            raise
        return self._begin()

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._entered.close()
        await self._runtime.database.surely_on_journal_thread(leave, self, error)

    def _claim(self) -> None:
        handle = self._runtime.start(self._name, id=self._id, **self._options)
        self.segment, self.ended = enter(self._runtime, handle.execution())

    def _begin(self) -> Handle:
        self._entered.enter_context(within(root(self.segment)))
        return Handle(self._runtime, self._id)


def enter(runtime: Process, execution: Execution) -> tuple[Segment, bool]:
    """Claim an execution, or read it again if it has ended (True). Blocks. Raises ExecutionCancelled, ExecutionBusy."""
    if execution.status == "cancelled":
        raise ExecutionCancelled(execution.id, (execution.error or {}).get("message", ""))
    if execution.ended:
        return ended_segment(runtime, execution), True
    segment = open_segment(runtime, execution.id, forced=True)
    error = refused(segment)
    if error is None and not is_poisoned(segment):
        return segment, False
    close(segment, None, error)
    if segment.left_as == "suspended" and isinstance(error, Cancelled):  # something in it is in doubt
        raise ExecutionCancelled(execution.id, error.reason)
    return enter(runtime, Handle(runtime, execution.id).execution())


def settle(held: Held, error: BaseException | None, *, patience: float | None = None) -> BaseException | None:
    """Record how a claimed execution ended. Return what its caller should see in place of ``error``, if anything.

    Calls that still run record their outcome first, for ``patience`` seconds (None: until they have). Blocks.
    """
    held.segment.drain(patience)
    raised = close(held.segment, held.output, error)
    return ExecutionCancelled(held.segment.execution.id, error.reason) if isinstance(error, Cancelled) else raised


def leave(held: Held, error: BaseException | None, *, patience: float | None = None) -> None:
    """Record how it ended, as ``settle`` does, and raise what its caller should see in place of ``error``. Blocks.

    Raises ExecutionCancelled, ExecutionSuspended, ExecutionFailed, LeaseLost, NotEncodable, Unsupported.
    """
    if held.ended:
        _reread(held.segment, error)
        return
    raised = settle(held, error, patience=patience)
    if raised is not None and raised is not error:
        # never "during handling of" the error in whose place it stands, which may tell a secret
        raise raised from raised.__cause__ or raised.__context__
    if isinstance(error, Suspended):
        raise ExecutionSuspended(held.segment.execution.id, list(held.segment.waiting)) from None


def _reread(segment: Segment, error: BaseException | None) -> None:
    """Raise what an ended execution came to, unless reading it again raised that itself."""
    if error is not None and not isinstance(error, Suspended):
        raised = uncrossed(error)
        if raised is not None and raised is not error:
            raise raised from raised.__cause__
        return
    outcome(segment.execution)
    if error is not None:
        msg = f"execution {segment.execution.id!r} has ended, and its code makes calls now that are not in its record"
        raise Unsupported(msg) from None
