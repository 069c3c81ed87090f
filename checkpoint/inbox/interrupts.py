"""Interrupts: the one inbox of questions that executions wait on, and their decisions.

    open -> decided -> consumed
    open -> expired | cancelled          decided -> cancelled   (the execution ended first)

``votes`` says how one is decided. The decision is consumed in the transaction that records the start of the call it was
made for, so it is delivered once, whatever crashes in between.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from durable.checkpoint import schema
from durable.checkpoint.errors import InterruptNotFound, LeaseLost
from durable.checkpoint.records import Interrupt, InterruptName, Terms
from durable.checkpoint.state import blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, RowMapping, Select

    from durable.checkpoint.database import Database

T = schema.interrupts
C = T.c


@dataclass(frozen=True, slots=True)
class NewInterrupt:
    """Question about one step. ``subject`` is encoded; ``expires_at`` is an instant."""

    id: str
    namespace: str
    execution_id: str
    step_key: str
    kind: InterruptName
    subject: bytes
    tool: str | None = None
    arguments_hash: str | None = None
    rule: str | None = None
    expires_at: float | None = None
    required: int = 1
    terms: Terms = field(default_factory=Terms)


_INSERT = insert(T)


def opening(db: Database, new: NewInterrupt) -> Callable[[Connection], object]:
    """Return the statement that puts the question into the inbox. It commits with the ``interrupt_opened`` record."""
    stored, keep = blobs.stash(db, new.subject)

    def insert_it(connection: Connection) -> None:
        if keep is not None:
            keep(connection)
        connection.execute(
            _INSERT,
            {
                "id": new.id,
                "namespace": new.namespace,
                "execution_id": new.execution_id,
                "step_key": new.step_key,
                "kind": new.kind,
                "tool": new.tool,
                "subject": stored,
                "arguments_hash": new.arguments_hash,
                "rule": new.rule,
                "status": "open",
                "expires_at": new.expires_at,
                "required": new.required,
                "terms": json.dumps(asdict(new.terms)),
                "created_at": db.clock(),
            },
        )

    return insert_it


_GET = select(T).where(C.id == bindparam("of"), C.namespace == bindparam("within"))


def get(connection: Connection, namespace: str, interrupt_id: str, load: Callable[[bytes], Any]) -> Interrupt:
    """Return the interrupt. Raises InterruptNotFound."""
    row = connection.execute(_GET, {"of": interrupt_id, "within": namespace}).mappings().first()
    if row is None:
        raise InterruptNotFound(interrupt_id)
    return _interrupt(row, load)


@cache
def _finding(*by: str) -> Select[Any]:
    conditions = (C[name].in_(bindparam(f"of_{name}", expanding=True)) for name in by)
    return select(T).where(C.namespace == bindparam("within"), *conditions).order_by(C.created_at, C.id)


def find(  # noqa: PLR0913 - each is a filter of one query
    connection: Connection,
    namespace: str,
    load: Callable[[bytes], Any],
    *,
    status: Sequence[str] = (),
    execution_id: str | None = None,
    tool: str | None = None,
    kind: str | None = None,
    limit: int | None = 1000,
) -> list[Interrupt]:
    """Return interrupts that match, oldest first."""
    filters = {"execution_id": execution_id, "tool": tool, "kind": kind}
    chosen: dict[str, Sequence[str]] = {name: (value,) for name, value in filters.items() if value is not None}
    if status:
        chosen["status"] = tuple(status)
    values = {"within": namespace, **{f"of_{name}": value for name, value in chosen.items()}}
    rows = connection.execute(_finding(*chosen).limit(limit), values)
    return [_interrupt(row, load) for row in rows.mappings()]


def expiring(interrupt: Interrupt, db: Database) -> Callable[[Connection], object]:
    """Return the statement that closes an interrupt whose time is over.

    Raises LeaseLost in the transaction if a decision came first.
    """

    def expire(connection: Connection) -> None:
        over = connection.execute(
            update(T)
            .where(C.id == interrupt.id, C.status == "open", C.expires_at <= db.clock())
            .values(status="expired")
        )
        if over.rowcount != 1:
            raise LeaseLost(interrupt.execution_id, -1)

    return expire


def escalated(terms: Terms, at: float) -> dict[str, Any]:
    """Return the columns of an interrupt that further persons may decide too, for as long again, from ``at`` on."""
    wider = replace(terms, approvers=(*terms.approvers, *terms.escalate_to), escalate_to=())
    return {"terms": json.dumps(asdict(wider)), "expires_at": at + (terms.expires_in or 0.0)}


def escalating(interrupt: Interrupt, db: Database) -> Callable[[Connection], object]:
    """Return the statement that asks further persons, for as long again.

    Raises LeaseLost in the transaction if a decision came first.
    """

    def escalate(connection: Connection) -> None:
        over = connection.execute(
            update(T)
            .where(C.id == interrupt.id, C.status == "open", C.expires_at <= db.clock())
            .values(escalated(interrupt.terms, db.clock()))
        )
        if over.rowcount != 1:
            raise LeaseLost(interrupt.execution_id, -1)

    return escalate


_CONSUME = update(T).where(C.id == bindparam("of"), C.status == "decided").values(status="consumed")


def consuming(interrupt: Interrupt) -> Callable[[Connection], object]:
    """Return the statement that uses the decision up. It commits with the record of what was done with it."""

    def consume(connection: Connection) -> None:
        used = connection.execute(_CONSUME, {"of": interrupt.id})
        if used.rowcount != 1:
            raise LeaseLost(interrupt.execution_id, -1)

    return consume


_WITHDRAW = update(T).where(C.id == bindparam("of"), C.status.in_(("open", "decided"))).values(status="cancelled")


def withdrawing(interrupt_id: str) -> Callable[[Connection], object]:
    """Return the statement that takes back a question nobody needs to answer any more."""

    def withdraw(connection: Connection) -> object:
        return connection.execute(_WITHDRAW, {"of": interrupt_id})

    return withdraw


def terms_of(stored: str) -> Terms:
    """Return the terms from their stored form."""
    terms: dict[str, Any] = json.loads(stored)
    for name in ("approvers", "escalate_to", "delegations"):
        terms[name] = tuple(terms.get(name, ()))
    return Terms(**terms)


def _interrupt(row: RowMapping, load: Callable[[bytes], Any]) -> Interrupt:
    fields: dict[str, Any] = {str(key): value for key, value in row.items()}
    subject = fields.pop("subject")
    decision = fields.pop("decision")
    fields["votes"] = tuple(json.loads(fields["votes"]))
    fields["terms"] = terms_of(fields["terms"])
    return Interrupt(
        **fields,
        stored_subject=bytes(subject),
        stored_decision=None if decision is None else bytes(decision),
        load=load,
    )
