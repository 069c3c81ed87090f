"""Open an execution: claim it and read its journal."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from durable.checkpoint import claims, executions
from durable.checkpoint.inbox import interrupts
from durable.checkpoint.journal import journal
from durable.checkpoint.journal.journal import Journal
from durable.errors import (
    Cancelled,
    DeadlineExceeded,
    ExecutionClosed,
    JournalCorrupt,
    LeaseLost,
    StorageError,
)
from durable.live.owner import is_dead
from durable.live.segment import Segment
from durable.record.events import InterruptOpened, unpack_if
from durable.record.failure import describe
from durable.run.close import close

if TYPE_CHECKING:
    from durable.checkpoint.records import Execution, Interrupt, Record
    from durable.run.process import Process


log = logging.getLogger("durable")


def open_segment(runtime: Process, execution_id: str, *, forced: bool = False) -> Segment:
    """Claim the execution and read its journal.

    An owner of this machine whose process is gone need not be waited for. One that is being compensated goes on with
    that here, and is closed for anything else. Raises ExecutionBusy, ExecutionClosed,
    ExecutionNotFound.
    """
    db, owner = runtime.database, runtime.leases.owner
    with db.read() as connection:
        dead = tuple(name for name in claims.owners(connection, runtime.namespace) if is_dead(name))
    claimed_at = runtime.clock.monotonic()
    epoch, head = db.transact(
        lambda connection: claims.claim(
            db, connection, runtime.namespace, execution_id, owner, dead=dead, forced=forced
        )
    )
    segment = load_segment(runtime, execution_id, epoch, head, claimed_at=claimed_at)
    if segment.replay.ending is None:
        return segment
    error = close(segment, None, None)
    if isinstance(error, (LeaseLost, StorageError)):
        raise error
    raise ExecutionClosed(execution_id, "compensated", "go on with")


def load_segment(
    runtime: Process, execution_id: str, epoch: int, head: tuple[int, bytes], *, claimed_at: float
) -> Segment:
    """Return the segment of a claim just made, at ``claimed_at`` on this process's clock.

    Its journal is read in one range. Raises JournalCorrupt for one that was edited or cut: it is not driven, and its
    execution is given up.
    """
    try:
        execution, records, asked = _read(runtime, execution_id, epoch)
    except JournalCorrupt as corrupt:
        _set_aside(runtime, execution_id, epoch, corrupt)
        raise
    held = Journal(runtime.writer, runtime.database, execution_id, epoch=epoch, head=head, load=runtime.load)
    segment = Segment(runtime, execution, held, records, asked)
    segment.renewed_at = claimed_at
    runtime.leases.hold(segment)
    runtime.telemetry.opened(segment)
    return segment


def _read(runtime: Process, execution_id: str, epoch: int) -> tuple[Execution, list[Record], list[Interrupt]]:
    with runtime.database.read() as connection:
        execution = executions.get(connection, runtime.namespace, execution_id, runtime.load)
        records = journal.believe(connection, execution_id, runtime.load, epoch=epoch)
        # whoever needs an answer looks for one that is open or decided; of those it misses none, however many were
        asked = interrupts.find(
            connection,
            runtime.namespace,
            runtime.load,
            execution_id=execution_id,
            status=("open", "decided"),
            limit=None,
        )
    for interrupt in asked:
        if not _says_that_it_was_asked(records, interrupt.id):
            msg = f"journal of {execution_id!r}: its end is missing, it does not say that {interrupt.id!r} was asked"
            raise JournalCorrupt(msg)
    return execution, records, asked


def _says_that_it_was_asked(records: list[Record], interrupt_id: str) -> bool:
    events = (unpack_if(record, InterruptOpened) for record in reversed(records))
    return any(event is not None and event.interrupt == interrupt_id for event in events)


def _set_aside(runtime: Process, execution_id: str, epoch: int, corrupt: JournalCorrupt) -> None:
    db, error = runtime.database, json.dumps(describe(corrupt))

    def set_aside(connection: Any) -> None:
        executions.set_aside(connection, execution_id, epoch, error=error, now=db.sync_clock(connection))

    db.transact(set_aside)
    log.error("execution %s is given up: %s", execution_id, corrupt)


def refused(segment: Segment) -> BaseException | None:
    """Why the app is not to run at all: it is to be cancelled, or its deadline has passed."""
    execution, runtime = segment.execution, segment.runtime
    if execution.cancel_reason is not None:
        return Cancelled(execution.cancel_reason)
    if execution.deadline_at is not None and runtime.database.clock() >= execution.deadline_at:
        return DeadlineExceeded(f"the deadline of execution {execution.id!r} has passed")
    return None
