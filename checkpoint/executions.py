"""Executions: started once, claimed by one worker at a time, ended once.

    pending -> running -> succeeded | failed | cancelled | dead
               running -> suspended -> pending        (a decision, a signal, a due timer, a cancellation)
               running -> running                     (claimed again after the lease expired)
               failed | dead | suspended -> pending   (an explicit retry)

Each function is one conditional statement per state change, run on the caller's connection. ``claims`` says who may
drive one. Statements stand beside their function, built once: SQLAlchemy takes longer to build one than to run it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Double, bindparam, case, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from durable.checkpoint import schema
from durable.checkpoint.errors import (
    DatabaseBusy,
    ExecutionConflict,
    ExecutionNotFound,
    LeaseLost,
    ThreadBusy,
)
from durable.checkpoint.journal import journal
from durable.checkpoint.records import Execution, NewRecord
from durable.checkpoint.state import blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping, Update

    from durable.checkpoint.database import Database

T = schema.executions
C = T.c

TICK = 0.001
"""Seconds: SQLite's clock counts milliseconds, so an instant taken a moment ago may lie in its future."""


@dataclass(frozen=True, slots=True)
class NewExecution:
    """Fields of a new execution; ``input`` is encoded, ``deadline`` and ``run_after`` are instants."""

    id: str
    namespace: str
    app: str
    input: bytes
    input_digest: str
    thread: str | None = None
    app_version: str | None = None
    queue: str = "default"
    priority: int = 0
    run_after: float | None = None
    deadline_at: float | None = None
    parent: str | None = None
    correlation_id: str | None = None
    tags: Mapping[str, str] | None = None
    traceparent: str | None = None


_RECORD = insert(schema.journal)


def start(db: Database, connection: Connection, new: NewExecution) -> bool:
    """Insert the execution and its ``started`` record; False if this very execution exists already.

    Raises ExecutionConflict for the same id with another input, app, thread or namespace, and ThreadBusy if the
    thread has another open execution.
    """
    now = db.sync_clock(connection)
    if not insert_row(db, connection, new, now=now):
        refuse_other(connection, new)
        return False
    record = NewRecord("started", meta={"app": new.app, "thread": new.thread, "input_digest": new.input_digest})
    connection.execute(_RECORD, journal.new_row(new.id, 1, 0, record, now, journal.GENESIS))
    return True


def insert_row(db: Database, connection: Connection, new: NewExecution, *, now: float, epoch: int = 0) -> bool:
    """Insert the row of a new execution; False if its id, or its thread, is taken."""
    stored, keep = blobs.stash(db, new.input)
    row = {
        "id": new.id,
        "namespace": new.namespace,
        "app": new.app,
        "app_version": new.app_version,
        "thread": new.thread,
        "queue": new.queue,
        "priority": new.priority,
        "status": "pending",
        "input": stored,
        "input_digest": new.input_digest,
        "run_after": now if new.run_after is None else new.run_after,
        "deadline_at": new.deadline_at,
        "parent": new.parent,
        "correlation_id": new.correlation_id,
        "tags": json.dumps(dict(new.tags or {})),
        "traceparent": new.traceparent,
        "epoch": epoch,
        "created_at": now,
    }
    if connection.execute(db.insert_or_ignore(T), row).rowcount != 1:
        return False
    if keep is not None:
        keep(connection)
    return True


_SAME = select(C.namespace, C.app, C.thread, C.input_digest, C.cancel_reason).where(C.id == bindparam("of"))


def refuse_other(connection: Connection, new: NewExecution) -> None:
    """Raise ExecutionConflict or ThreadBusy if what is there under this id, or on this thread, is not this one."""
    same = connection.execute(_SAME, {"of": new.id}).first()
    if same is None:
        busy = connection.execute(
            select(C.id, C.status).where(
                C.namespace == new.namespace, C.app == new.app, C.thread == new.thread, C.status.in_(schema.OPEN)
            )
        ).first()
        if busy is None:
            msg = f"thread {new.thread!r} was let go at this very moment; try again"
            raise DatabaseBusy(msg)
        raise ThreadBusy(str(new.thread), busy.id, busy.status)
    superseded = same.thread is None and same.cancel_reason is not None
    thread = None if superseded else new.thread
    for field, value in (("namespace", new.namespace), ("app", new.app), ("thread", thread)):
        if getattr(same, field) != value:
            raise ExecutionConflict(new.id, field)
    if same.input_digest != new.input_digest:
        raise ExecutionConflict(new.id, "input")


_GET = select(T).where(C.id == bindparam("of"), C.namespace == bindparam("within"))


def get(connection: Connection, namespace: str, execution_id: str, load: Callable[[bytes], Any]) -> Execution:
    """Return the execution. Raises ExecutionNotFound."""
    row = connection.execute(_GET, {"of": execution_id, "within": namespace}).mappings().first()
    if row is None:
        raise ExecutionNotFound(execution_id, namespace)
    return _execution(row, load)


def find(  # noqa: PLR0913 - each is a filter of one query
    connection: Connection,
    namespace: str,
    load: Callable[[bytes], Any],
    *,
    status: Sequence[str] = (),
    app: str | None = None,
    thread: str | None = None,
    tags: Mapping[str, str] | None = None,
    before: float | None = None,
    limit: int = 100,
) -> list[Execution]:
    """Return executions that match, newest first."""
    query = select(T).where(C.namespace == namespace)
    if status:
        query = query.where(C.status.in_(status))
    if app is not None:
        query = query.where(C.app == app)
    if thread is not None:
        query = query.where(C.thread == thread)
    if before is not None:
        query = query.where(C.created_at < before)
    for key, value in (tags or {}).items():
        # not LIKE, which takes capitals for small letters on SQLite
        place = func.instr if connection.dialect.name == "sqlite" else func.strpos
        query = query.where(place(C.tags, json.dumps({key: value})[1:-1]) > 0)
    rows = connection.execute(query.order_by(C.created_at.desc(), C.id.desc()).limit(limit))
    return [_execution(row, load) for row in rows.mappings()]


_ON_THREAD = select(T).where(
    C.namespace == bindparam("within"),
    C.app == bindparam("by"),
    C.thread == bindparam("on"),
    C.status.in_(schema.OPEN),
)


def open_on_thread(
    connection: Connection, namespace: str, app: str, thread: str, load: Callable[[bytes], Any]
) -> Execution | None:
    """Return the open execution of a thread; None if there is none."""
    row = connection.execute(_ON_THREAD, {"within": namespace, "by": app, "on": thread}).mappings().first()
    return None if row is None else _execution(row, load)


_ANSWERED = exists().where(
    schema.interrupts.c.execution_id == bindparam("of"),
    schema.interrupts.c.status == "decided",
    schema.interrupts.c.id.not_in(bindparam("seen", expanding=True)),
)
_COME = or_(
    _ANSWERED,
    exists().where(
        schema.signals.c.execution_id == bindparam("of"),
        schema.signals.c.name.in_(bindparam("signals", expanding=True)),
        schema.signals.c.consumed_at.is_(None),
    ),
    C.cancel_reason.isnot(None),
)


def _suspending(come: ColumnElement[bool]) -> Update:
    return (
        update(T)
        .where(C.id == bindparam("of"))
        .values(
            status=case((come, "pending"), else_="suspended"),
            run_after=case((come, bindparam("now", type_=Double)), else_=bindparam("wake_at", type_=Double)),
            attempts=0,
            waits_for=bindparam("names"),
        )
    )


_SUSPEND, _SUSPEND_CANCELLED = _suspending(_COME), _suspending(_ANSWERED)


def suspend(  # noqa: PLR0913 - what it waits for
    connection: Connection,
    execution_id: str,
    epoch: int,
    *,
    wake_at: float | None,
    signals: Sequence[str],
    seen: Sequence[str] = (),
    now: float,
    cancelled: bool = False,
) -> None:
    """Let go of an execution that waits. What came in while it was being let go makes it pending at once.

    ``seen`` are decided interrupts that this segment knew about but did not reach. One that is ``cancelled`` waits for
    nothing but the answers to its questions.
    """
    _owned(connection, execution_id, epoch, {"lease_owner": None, "lease_expires_at": None})
    # a second statement: the first took the row's lock, so this one sees what whoever held it before has committed
    waiting = {"of": execution_id, "seen": tuple(seen), "now": now, "wake_at": wake_at}
    if cancelled:
        connection.execute(_SUSPEND_CANCELLED, {**waiting, "names": None})
        return
    names = json.dumps(list(signals)) if signals else None
    connection.execute(_SUSPEND, {**waiting, "signals": tuple(signals), "names": names})


def leave_thread(connection: Connection, execution_id: str) -> None:
    """Free the thread of an execution that is cancelled and waits for answers only; its journal still names it."""
    superseded = update(T).where(C.id == execution_id, C.status == "suspended", C.cancel_reason.isnot(None))
    connection.execute(superseded.values(thread=None))


def release(connection: Connection, execution_id: str, epoch: int, *, run_after: float, blameless: bool = True) -> None:
    """Give the execution back unfinished, to be claimed again from ``run_after`` on; ``blameless`` is no crash."""
    values = {"status": "pending", "run_after": run_after, "lease_owner": None, "lease_expires_at": None}
    _owned(connection, execution_id, epoch, {**values, "attempts": 0} if blameless else values)


_CLOSE_INBOX = (
    update(schema.interrupts)
    .where(schema.interrupts.c.execution_id == bindparam("of"), schema.interrupts.c.status.in_(("open", "decided")))
    .values(status="cancelled")
)


def finish(connection: Connection, execution_id: str, epoch: int, **values: Any) -> None:
    """Set the final status; what is still open in the inbox is closed with it. Raises LeaseLost."""
    _owned(
        connection, execution_id, epoch, {"lease_owner": None, "lease_expires_at": None, "waits_for": None, **values}
    )
    connection.execute(_CLOSE_INBOX, {"of": execution_id})


def set_aside(connection: Connection, execution_id: str, epoch: int, *, error: str, now: float) -> None:
    """Give an execution up whose journal cannot be believed: nothing is appended, its inbox stays. Raises LeaseLost."""
    ended = {"status": "dead", "error": error, "finished_at": now}
    _owned(connection, execution_id, epoch, {**ended, "lease_owner": None, "lease_expires_at": None})


_OWNED = update(T).where(C.id == bindparam("of"), C.epoch == bindparam("since"), C.status == "running")


def _owned(connection: Connection, execution_id: str, epoch: int, values: Mapping[str, Any]) -> None:
    changed = connection.execute(_OWNED, {"of": execution_id, "since": epoch, **values})
    if changed.rowcount != 1:
        raise LeaseLost(execution_id, epoch)


_LOCK = select(C.id).where(C.id == bindparam("of")).with_for_update()


def lock(connection: Connection, execution_id: str) -> None:
    """Hold the execution's row to the end of the transaction: taken first by all that wake it or let it go."""
    connection.execute(_LOCK, {"of": execution_id})


_WAKE = (
    update(T)
    .where(C.id == bindparam("of"), C.status == "suspended")
    .values(status="pending", run_after=bindparam("now"))
)


def wake(connection: Connection, execution_id: str, *, now: float, signal: str | None = None) -> None:
    """Make a suspended execution claimable; for a signal only if it waits for one of that name."""
    waiting = _WAKE if signal is None else _WAKE.where(C.waits_for.contains(json.dumps(signal), autoescape=True))
    connection.execute(waiting, {"of": execution_id, "now": now})


def request_cancel(
    connection: Connection, execution_id: str, reason: str, *, now: float, compensate: bool | None = None
) -> None:
    """Raise the flag the owner looks at; one that nobody owns becomes claimable. The first reason counts."""
    lock(connection, execution_id)
    connection.execute(
        update(T)
        .where(C.id == execution_id, C.status.in_(schema.OPEN))
        .values(
            cancel_reason=func.coalesce(C.cancel_reason, reason), compensate=func.coalesce(C.compensate, compensate)
        )
    )
    connection.execute(
        update(T)
        .where(C.id == execution_id, C.status.in_(("pending", "suspended")))
        .values(status="pending", run_after=now)
    )


def begin_compensation(connection: Connection, execution_id: str, epoch: int) -> None:
    """Take the cancellation as read, and close what is open in the inbox: the app does not go on. Raises LeaseLost."""
    _owned(connection, execution_id, epoch, {"cancel_reason": None})
    connection.execute(_CLOSE_INBOX, {"of": execution_id})


def retry(connection: Connection, execution_id: str, *, now: float) -> bool:
    """Make an execution that failed, died or waits claimable again; False if it is in another status.

    Raises ThreadBusy if its thread has another open execution by now.
    """
    again = update(T).where(C.id == execution_id, C.status.in_(("failed", "dead", "suspended")))
    try:
        changed = connection.execute(
            again.values(
                status="pending",
                run_after=now,
                attempts=0,
                error=None,
                finished_at=None,
                cancel_reason=None,
                compensate=None,
            )
        )
    except IntegrityError as exc:
        raise ThreadBusy("of " + execution_id, "another execution", "open") from exc
    return changed.rowcount == 1


def _execution(row: RowMapping, load: Callable[[bytes], Any]) -> Execution:
    fields: dict[str, Any] = {str(key): value for key, value in row.items()}
    stored_input = bytes(fields.pop("input"))
    output = fields.pop("output")
    fields["tags"] = json.loads(fields["tags"])
    fields["error"] = json.loads(fields["error"]) if fields["error"] else None
    return Execution(
        **fields, stored_input=stored_input, stored_output=None if output is None else bytes(output), load=load
    )
