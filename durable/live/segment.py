"""A segment: one process driving one execution under one claim.

It holds the journal under its epoch, what the journal said of each step when the claim was made, and what this
process waits for. When the claim is gone, the journal refuses; when it may be gone, no further effect is started.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from durable.checkpoint.inbox import interrupts
from durable.checkpoint.state import blobs
from durable.errors import Cancelled, DeadlineExceeded, LeaseLost, StorageError, Suspended
from durable.live.tool_context import ToolContext
from durable.record.events import InterruptClosed
from durable.record.matching import Matching
from durable.record.replay import Outcome, Replay
from durable.record.usage import Usage
from durable.secrets.logs import redacting
from durable.secrets.store import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from durable.checkpoint.journal.journal import Journal
    from durable.checkpoint.records import Execution, Interrupt, NewRecord, Record
    from durable.live.services import Services
    from durable.record.events import Trace

log = logging.getLogger("durable")


class Segment:
    """The live execution. Thread-safe where tools run side by side."""

    def __init__(
        self,
        runtime: Services,
        execution: Execution,
        journal: Journal,
        records: Iterable[Record],
        asked: list[Interrupt],
    ) -> None:
        self.runtime = runtime
        self.execution = execution
        self.journal = journal
        self.records = list(records)
        self.replay = Replay()
        self.replay.fold(self.records)
        self.cancel_reason = execution.cancel_reason
        self.draining = False
        self.abandoned = False
        self.compensates: Segment | None = None
        """The segment of the same claim whose execution this one compensates: neither cancelled nor late any more."""
        self.cut = False
        """Whether a step's body was left in the middle, without an outcome."""
        self.renewed_at = runtime.clock.monotonic()
        self.waiting: dict[str, Interrupt] = {}
        self.wake_at: float | None = None
        self.awaited: set[str] = set()
        self._branched: set[str] = set()
        self.overtaken: LeaseLost | None = None
        """Why this segment must end: another process was first, though the journal is still its own."""
        self.stopped: Exception | None = None
        """Why this execution fails, whatever its code makes of that error."""
        self.usage = Usage(self.records)
        self.left_as = "abandoned"
        self.span: Any = None
        """Where telemetry keeps the span of this segment; nobody else looks into it."""
        self.trace: Trace | None = None
        """The trace context that the first record of this segment carries along; None once it is written."""
        self.attachments: dict[str, Any] = {}
        self._asked = {interrupt.id: interrupt for interrupt in asked}
        self.decided_before = [interrupt.id for interrupt in asked if interrupt.status == "decided"]
        """The interrupts that were decided when this segment began; one that is decided later wakes the execution."""
        self.receiving = threading.Lock()
        self._lock = threading.RLock()
        self._matching = Matching(self.replay, self._lock)

    @property
    def closing(self) -> bool:
        """Whether no further step may start here."""
        return self._matching.closed

    def close(self) -> None:
        """Start no further step."""
        self._matching.closed = True

    def stop(self, error: Exception) -> Exception:
        """Start no further step: each raises this error, with which the execution fails. Returns it."""
        self.stopped = error
        return error

    @property
    def recovered(self) -> bool:
        """Whether an earlier segment of this execution ended without letting go of it."""
        return self.replay.crashed_at is not None

    @property
    def thread(self) -> str:
        """The thread it runs on; an execution without one is its own."""
        return self.execution.thread or self.execution.id

    def context(  # noqa: PLR0913 - the fields of a ToolContext
        self,
        step_key: str,
        name: str,
        *,
        attempt: int,
        idempotency_key: str,
        deadline_at: float | None = None,
        secrets: tuple[str, ...] = (),
    ) -> ToolContext:
        """A ToolContext of this execution."""
        execution, runtime = self.execution, self.runtime
        return ToolContext(
            execution_id=execution.id,
            step_key=step_key,
            attempt=attempt,
            idempotency_key=idempotency_key,
            deadline_at=deadline_at or execution.deadline_at,
            thread=execution.thread,
            dependencies=runtime.dependencies,
            secrets=Secrets(secrets, runtime.secrets),
            log=logging.LoggerAdapter(
                redacting(f"durable.tool.{name}"), {"execution_id": execution.id, "step_key": step_key}
            ),
        )

    def transact(self, change: Callable[[Any], Sequence[NewRecord]]) -> None:
        """Run ``change(connection)`` and append the records it returns, in one transaction."""
        kept: list[Callable[[Any], object]] = []

        def stashing(connection: Any) -> Sequence[NewRecord]:
            records = self._stashed(change(connection), kept)
            for keep in kept:
                keep(connection)
            return records

        with self._noticing():
            appended = self.journal.transact(stashing)
        self.trace = None
        with self._lock:
            self.records.extend(appended)
            self.replay.fold(appended)

    def append(self, *records: NewRecord, companions: Sequence[Callable[[Any], object]] = ()) -> tuple[Record, ...]:
        """Append to the journal and take the new records in."""
        kept: list[Callable[[Any], object]] = []
        stored = self._stashed(records, kept)
        with self._noticing():
            appended = self.journal.append(*stored, companions=(*kept, *companions))
        self.trace = None
        with self._lock:
            self.records.extend(appended)
            self.replay.fold(appended)
        return appended

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except LeaseLost as lost:
            self.overtaken = lost  # code in between may swallow it
            raise
        except StorageError as failed:
            self.stop(failed)  # nobody knows what is on record: no further effect may start
            raise

    def _stashed(self, records: Iterable[NewRecord], kept: list[Callable[[Any], object]]) -> list[NewRecord]:
        redactor = self.runtime.secrets.redactor
        if redactor.knows:
            records = [replace(record, meta=redactor.plain(dict(record.meta))) for record in records]
        stored = [self._stash(record, kept) for record in records]
        if self.trace is not None and stored:
            stored[0] = self.trace.carried_by(stored[0])
        return stored

    def _stash(self, record: NewRecord, kept: list[Callable[[Any], object]]) -> NewRecord:
        if record.value is None or len(record.value) <= blobs.INLINE or record.value.startswith(b"\0"):
            return record
        value, keep = blobs.stash(self.runtime.database, record.value)
        if keep is not None:
            kept.append(keep)
        return replace(record, value=value)

    def unordered(self, path: str, *, branched: bool) -> bool:
        """True if calls in this scope may replay in a different order: the scope has branched."""
        if branched:
            self._branched.add(path)
        return path in self._branched

    def match(self, key: str | None, prefix: str, arguments_hash: str) -> tuple[Outcome | None, bool]:
        """Match the next call with its record. Returns (outcome, True if the arguments agree).

        None for a number that is not certain yet: see ``match_after_branches``.
        """
        if key is None:
            return self._matching.match(prefix, arguments_hash), True
        with self._lock:
            outcome = self.replay.at(key)
            fits = outcome.accepted or outcome.arguments_hash in {"", arguments_hash}
            outcome.taken = outcome.taken or fits
            return outcome, fits

    def match_after_branches(self, prefix: str, arguments_hash: str, inside: tuple[str, ...]) -> tuple[Outcome, bool]:
        """Match a numbered call when what runs beside it has come by. Blocks.

        Raises Suspended if the segment ends meanwhile.
        """
        return self._matching.match_after_branches(prefix, arguments_hash, inside)

    def match_any_input(self, prefix: str) -> Outcome | None:
        """Match a call with the first record of its name, whatever its arguments; None if none is left."""
        with self._lock:
            outcome = self.replay.left(prefix)
            if outcome is not None:
                outcome.taken = True
            return outcome

    def passed_over(self, scope: str) -> Outcome | None:
        """Return the first recorded effect in this scope that the code has skipped; None if there is none."""
        with self._lock:
            return self.replay.passed_over(scope)

    def not_reached(self) -> Outcome | None:
        """Return a recorded call that has to come by before the execution may succeed, and has not; None if all did."""
        with self._lock:
            return self.replay.not_reached(self.decided_before)

    def rewind(self, scope: str) -> None:
        """A scope is entered (again): its steps come by from the first on."""
        with self._lock:
            self.replay.rewind(scope)

    def forget_failures(self, scope: str) -> None:
        """A scope failed and may be tried again by its framework."""
        with self._lock:
            self.replay.forget_failures(scope)

    def interrupt(self, interrupt_id: str) -> Interrupt | None:
        """The interrupt as it stood when this segment began; what is decided later is seen by the next one."""
        return self._asked.get(interrupt_id)

    def wait_for(
        self, interrupt: Interrupt | None = None, *, at: float | None = None, signal: str | None = None
    ) -> None:
        """Remember what this execution waits for when it is let go."""
        with self._lock:
            if interrupt is not None:
                self.waiting[interrupt.id] = interrupt
                at = interrupt.expires_at
            if at is not None:
                self.wake_at = at if self.wake_at is None else min(self.wake_at, at)
            if signal is not None:
                self.awaited.add(signal)

    def withdraw(self, outcome: Outcome) -> None:
        """Take back what was asked at this step, answered or not: it is about another call than is made now."""
        asked = outcome.interrupt
        if asked is not None:
            closed = InterruptClosed(interrupt=asked, decision="withdrawn")
            self.append(closed.pack(outcome.key), companions=[interrupts.withdrawing(asked)])

    @property
    def waits(self) -> bool:
        """Whether something was asked or slept on that has not come."""
        return bool(self.waiting or self.awaited or self.wake_at is not None)

    def opened(self, interrupt_id: str) -> Interrupt:
        """Read a just opened interrupt back and wait for it."""
        interrupt = self.runtime.interrupt(interrupt_id)
        self._asked[interrupt.id] = interrupt
        self.wait_for(interrupt)
        return interrupt

    def check(self) -> None:
        """Whether a further step may start now.

        Raises LeaseLost, Cancelled, DeadlineExceeded, or Suspended if this process is draining.
        """
        if self.journal.lost:
            raise LeaseLost(self.execution.id, self.journal.epoch)
        if self.overtaken is not None:
            raise self.overtaken
        if self.stopped is not None:
            raise self.stopped
        if self.draining or (self.closing and not self.busy):
            raise Suspended
        self.runtime.leases.confirm(self)
        if self.cancel_reason is not None and self.compensates is None:
            raise Cancelled(self.cancel_reason)
        deadline = self.execution.deadline_at
        if deadline is not None and self.runtime.database.clock() >= deadline:
            msg = f"the deadline of execution {self.execution.id!r} has passed; no further step was started"
            raise DeadlineExceeded(msg)

    def working(self) -> AbstractContextManager[None]:
        """The block is a step, from the look into the journal to its record. Raises Suspended if none may start."""
        return self._matching.working()

    def aside(self) -> AbstractContextManager[None]:
        """Let nobody wait for this step in the block: its reader holds a chunk. Raises Suspended if it is over."""
        return self._matching.aside()

    @property
    def busy(self) -> int:
        """How many steps are on their way now."""
        return self._matching.busy

    def quiet(self) -> None:
        """Wait until no step is on its way."""
        self._matching.quiet()

    def drain(self, timeout: float | None = None) -> bool:
        """Wait (seconds) until no step is on its way; no further step starts. False if some still are."""
        return self._matching.drain(timeout)
