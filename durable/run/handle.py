"""Handle one execution from the outside. Reads the database each time; holds nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.checkpoint import executions
from durable.checkpoint.inbox import signals
from durable.checkpoint.journal import journal
from durable.declare.ids import checked, text
from durable.errors import (
    ExecutionBusy,
    ExecutionCancelled,
    ExecutionClosed,
    ExecutionFailed,
)
from durable.run.aio import Aio
from durable.run.cancel import cancel_here
from durable.run.fork import fork

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from durable.checkpoint.records import Execution, Interrupt, Record
    from durable.run.process import Process

POLL = 0.05
"""Seconds between two looks at an execution that is waited for."""


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of driving an execution.

    ``status`` is final, or ``suspended`` with what it waits for in ``interrupts``.
    """

    id: str
    status: str
    output: Any
    error: dict[str, Any] | None
    interrupts: Sequence[Interrupt]
    events: Sequence[Record] = field(repr=False)
    usage: dict[str, int]
    correlation_id: str | None


class Handle:
    """One execution. ``await handle`` and ``handle.result()`` wait for its end."""

    def __init__(self, runtime: Process, execution_id: str) -> None:
        self.id = execution_id
        self._runtime = runtime

    def __repr__(self) -> str:
        return f"Handle({self.id!r})"

    @property
    def aio(self) -> Aio:
        """The same methods for async code: ``await handle.aio.fork(at=7)``; the event loop never waits."""
        return Aio(self, self._runtime.database)

    def execution(self) -> Execution:
        """Return the execution as it stands now. Raises ExecutionNotFound."""
        runtime = self._runtime
        with runtime.database.read() as connection:
            return executions.get(connection, runtime.namespace, self.id, runtime.load)

    @property
    def status(self) -> str:
        """Return pending, running, suspended, succeeded, failed, cancelled or dead."""
        return self.execution().status

    def result(self, timeout: float | None = None) -> Any:
        """Wait (seconds) for the end and return the output.

        Raises ExecutionFailed, ExecutionCancelled, or TimeoutError if it has not ended by then.
        """
        give_up = None if timeout is None else time.monotonic() + timeout
        execution = self.execution()
        while not execution.ended:
            if give_up is not None and time.monotonic() >= give_up:
                msg = f"execution {self.id!r} is {execution.status} after {timeout} s"
                raise TimeoutError(msg)
            self._runtime.clock.sleep(POLL)
            execution = self.execution()
        return outcome(execution)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._ended().__await__()

    async def _ended(self) -> Any:
        runtime = self._runtime
        execution = await runtime.database.on_journal_thread(self.execution)
        while not execution.ended:
            await runtime.clock.sleep_async(POLL)
            execution = await runtime.database.on_journal_thread(self.execution)
        return outcome(execution)

    def history(self) -> list[Record]:
        """Return all records of its journal, in order."""
        return self.events()

    def events(self, after: int = 0) -> list[Record]:
        """Return the records behind seq ``after``: an event stream whose offset is the seq."""
        self.execution()
        with self._runtime.database.read() as connection:
            return journal.read(connection, self.id, self._runtime.load, after=after)

    def verify(self) -> int:
        """Recompute the journal's digest chain and return its length. Raises JournalCorrupt, also for a missing end."""
        epoch = self.execution().epoch
        with self._runtime.database.read() as connection:
            return journal.verify(connection, self.id, epoch=epoch)[0]

    def interrupts(self) -> list[Interrupt]:
        """Return its interrupts, oldest first."""
        return self._runtime.interrupts(status=None, execution_id=self.id)

    def cancel(self, reason: str = "cancelled by request", *, compensate: bool | None = None) -> None:
        """Ask it to end.

        One that nobody drives ends now; one that runs in this process ends before its next step, in another one
        within a third of the lease. ``compensate`` says whether what it has done is undone first, by the
        ``compensate=`` of its tools; None leaves that to its app's ``Runtime(compensate=...)``. Where this process
        cannot undo it, a worker does. Raises ExecutionClosed.
        """
        reason = self._runtime.secrets.redactor.text(text(reason, "the reason"))
        execution = self.execution()
        if execution.status == "cancelled":
            return
        if execution.ended:
            raise ExecutionClosed(self.id, execution.status, "cancel")
        runtime = self._runtime
        now = runtime.database.clock()
        runtime.database.transact(
            lambda connection: executions.request_cancel(connection, self.id, reason, now=now, compensate=compensate)
        )
        try:
            cancel_here(runtime, self.id)
        except ExecutionBusy:
            runtime.leases.cancel(self.id, reason)  # any other owner sees the flag when it renews

    def signal(self, name: str, payload: Any = None, *, id: str | None = None) -> None:  # noqa: A002 - as of executions
        """Send it a signal; it is delivered once, in order.

        With an ``id`` (a webhook's delivery id, say) it may be sent again, after an error or by a sender that
        repeats itself, and still counts once. Raises ExecutionClosed if the execution has ended, SignalConflict if
        the id is taken by another signal, InvalidId, NotEncodable.
        """
        execution = self.execution()
        if execution.ended:
            raise ExecutionClosed(self.id, execution.status, f"signal {name!r} to")
        runtime = self._runtime
        encoded = runtime.codec.encode(payload, what=f"the payload of signal {name!r}")
        sent_as = None if id is None else checked(id, "the signal's id")
        new = signals.NewSignal(checked(name, "the signal's name"), encoded, sent_as)
        runtime.database.transact(lambda connection: signals.send(runtime.database, connection, self.id, new))

    def retry(self) -> None:
        """Let an execution that failed, died or waits be claimed again; what had finished is not run again.

        Raises ExecutionClosed if it is in another status, ThreadBusy if its thread has another open execution.
        """
        self._runtime.reopen(self.id)

    def fork(self, *, at: int, id: str | None = None) -> Handle:  # noqa: A002 - as of executions
        """Begin another execution with the records of this one up to seq ``at``; a worker goes on with it from there.

        What is on record is answered from it. An effect that this one made beyond ``at`` is not repeated silently: by
        default a person is asked (``on_repeat`` of the tool or the runtime). The same id and point again is the same
        fork. Raises InvalidConfiguration where a step is under way at ``at``, with the nearest points; Unsupported,
        ExecutionConflict, InvalidId.
        """
        return Handle(self._runtime, fork(self._runtime, self.execution(), self.history(), at=at, id=id))


def outcome(execution: Execution) -> Any:
    """Return the output of an ended execution. Raises ExecutionFailed or ExecutionCancelled."""
    error = execution.error or {"type": "", "message": ""}
    if execution.status == "cancelled":
        raise ExecutionCancelled(execution.id, error["message"])
    if execution.status in {"failed", "dead"}:
        raise ExecutionFailed(execution.id, execution.status, error["type"], error["message"])
    return execution.output
