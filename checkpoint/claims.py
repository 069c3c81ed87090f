"""Claim executions: who drives which one, and for how long without renewal.

A claim moves the epoch and the lease *and* appends a ``claimed`` record, in one transaction. The lease is a hint for
whom to claim from; the journal's primary key is the guarantee.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Double, and_, bindparam, case, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from durable.checkpoint import schema
from durable.checkpoint.errors import DatabaseBusy, ExecutionBusy, ExecutionClosed, ExecutionNotFound
from durable.checkpoint.executions import TICK
from durable.checkpoint.journal import journal
from durable.checkpoint.records import NewRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from durable.checkpoint.database import Database

T = schema.executions
C = T.c


@dataclass(frozen=True, slots=True)
class Owner:
    """Claimant: a name that no other process has, and for how many seconds a claim holds without renewal."""

    name: str
    ttl: float


_OWNERS = select(C.lease_owner).where(C.namespace == bindparam("within"), C.status == "running").distinct()


def owners(connection: Connection, namespace: str) -> set[str]:
    """Return the names of all that hold a lease now."""
    rows = connection.execute(_OWNERS, {"within": namespace})
    return {name for (name,) in rows if name}


def queues(connection: Connection, namespace: str) -> list[str]:
    """Return the queues on which something is open."""
    rows = connection.execute(
        select(C.queue).where(C.namespace == namespace, C.status.in_(schema.OPEN)).distinct().order_by(C.queue)
    )
    return list(rows.scalars())


_CLAIMABLE = or_(
    and_(C.status.in_(("pending", "suspended")), C.run_after <= bindparam("due")),
    and_(
        C.status == "running",
        or_(C.lease_expires_at < bindparam("now"), C.lease_owner.in_(bindparam("dead", expanding=True))),
    ),
)
_TAKE = (
    update(T)
    .where(C.id == bindparam("of"), C.namespace == bindparam("within"))
    .values(
        status="running",
        epoch=C.epoch + 1,
        attempts=C.attempts + 1,
        lease_owner=bindparam("owner"),
        lease_expires_at=bindparam("until"),
        started_at=func.coalesce(C.started_at, bindparam("now", type_=Double)),
        waits_for=None,
    )
    .returning(C.epoch)
)
_CLAIM = _TAKE.where(_CLAIMABLE)
_CLAIM_FORCED = _TAKE.where(or_(_CLAIMABLE, C.status.in_(("pending", "suspended"))))
_RECORD = insert(schema.journal)


def claim(  # noqa: PLR0913 - what is claimed, by whom, from whom
    db: Database,
    connection: Connection,
    namespace: str,
    execution_id: str,
    owner: Owner,
    *,
    dead: Iterable[str] = (),
    forced: bool = False,
) -> tuple[int, tuple[int, bytes]]:
    """Take the execution. Returns (epoch, head of its journal). ``dead`` owners' leases count as expired.

    ``forced`` claims one that is suspended or not yet due. Raises ExecutionBusy, ExecutionClosed,
    ExecutionNotFound, and DatabaseBusy if the transaction must be tried again.
    """
    now = db.sync_clock(connection)
    target = {"of": execution_id, "within": namespace, "owner": owner.name, "until": now + owner.ttl}
    taking = _CLAIM_FORCED if forced else _CLAIM
    epoch = connection.execute(taking, {**target, "now": now, "due": now + TICK, "dead": tuple(dead)}).scalar()
    if epoch is None:
        raise _why_not(connection, namespace, execution_id, now)
    seq, digest = journal.head(connection, execution_id)
    record = NewRecord("claimed", meta={"owner": owner.name})
    row = journal.new_row(execution_id, seq + 1, epoch, record, now, digest)
    try:
        connection.execute(_RECORD, row)
    except IntegrityError as exc:
        msg = f"the owner before wrote to execution {execution_id!r} at the moment of the claim; try again"
        raise DatabaseBusy(msg) from exc
    return epoch, (row["seq"], row["digest"])


_RUNNABLE = (
    select(C.id)
    .where(
        C.namespace == bindparam("within"),
        C.queue.in_(bindparam("queues", expanding=True)),
        C.app.in_(bindparam("apps", expanding=True)),
        _CLAIMABLE,
    )
    .order_by(C.priority.desc(), C.run_after, C.created_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)


def runnable(  # noqa: PLR0913, PLR0917 - the filters of one query
    db: Database,
    connection: Connection,
    namespace: str,
    queues: Sequence[str],
    apps: Iterable[str],
    dead: Iterable[str] = (),
) -> str | None:
    """Return the id of the next execution to claim: oldest first within priority.

    Locked ones are skipped on PostgreSQL.
    """
    now = db.sync_clock(connection)
    among = {"within": namespace, "queues": tuple(queues), "apps": tuple(apps)}
    return connection.execute(_RUNNABLE, {**among, "now": now, "due": now + TICK, "dead": tuple(dead)}).scalar()


_NEXT_DUE = select(func.min(case((C.status == "running", C.lease_expires_at), else_=C.run_after))).where(
    C.namespace == bindparam("within"), C.queue.in_(bindparam("queues", expanding=True)), C.status.in_(schema.OPEN)
)


def next_due(connection: Connection, namespace: str, queues: Sequence[str]) -> float | None:
    """Return the next instant at which something becomes claimable by itself; None if nothing will."""
    return connection.execute(_NEXT_DUE, {"within": namespace, "queues": tuple(queues)}).scalar()


def _why_not(connection: Connection, namespace: str, execution_id: str, now: float) -> Exception:
    row = connection.execute(
        select(C.status, C.lease_owner, C.lease_expires_at).where(C.id == execution_id, C.namespace == namespace)
    ).first()
    if row is None:
        return ExecutionNotFound(execution_id, namespace)
    if row.status == "running":
        return ExecutionBusy(execution_id, row.lease_owner, max(0.0, row.lease_expires_at - now))
    return ExecutionClosed(execution_id, row.status, "claim")


_RENEW = (
    update(T)
    .where(C.id.in_(bindparam("those", expanding=True)), C.lease_owner == bindparam("owner"), C.status == "running")
    .values(lease_expires_at=bindparam("until"))
    .returning(C.id, C.epoch, C.cancel_reason)
)


def renew(db: Database, connection: Connection, owner: Owner, epochs: Mapping[str, int]) -> dict[str, str | None]:
    """Extend all leases of this owner in one statement.

    Returns the ids still owned, each with its reason to cancel, if any.
    """
    now = db.sync_clock(connection)
    renewed = connection.execute(_RENEW, {"those": tuple(epochs), "owner": owner.name, "until": now + owner.ttl})
    return {row.id: row.cancel_reason for row in renewed if epochs[row.id] == row.epoch}
