"""Count votes: who answers an interrupt, and when it is decided.

One conditional statement decides: the first answer that enough persons have given wins, a rejection needs one. What did
not count is kept too, with its reason: a late answer, another one, one of somebody who may not decide.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from durable.checkpoint import executions, schema
from durable.checkpoint.errors import (
    AlreadyDecided,
    DatabaseBusy,
    DecisionExpired,
    InterruptNotFound,
)
from durable.checkpoint.inbox.interrupts import escalated, terms_of
from durable.checkpoint.state import blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from durable.checkpoint.database import Database
    from durable.checkpoint.records import Terms

T = schema.interrupts
C = T.c


@dataclass(frozen=True, slots=True)
class NewDecision:
    """Encoded answer; ``digest`` tells the same answer from another.

    ``admit`` raises if this person may not decide under the interrupt's terms. ``alone`` needs no others: nobody is
    made to do what one of them refuses.
    """

    value: bytes
    digest: str
    by: str
    admit: Callable[[str, Terms], None]
    comment: str | None = None
    alone: bool = False


def decide(db: Database, connection: Connection, namespace: str, interrupt_id: str, decision: NewDecision) -> bool:
    """Record the answer; with the last one that is needed, wake the execution. False if it was there before.

    Raises InterruptNotFound, AlreadyDecided if another decision came first or the execution has ended, DecisionExpired,
    and what ``decision.admit`` raises. The same person repeating the same answer is no error.
    """
    row = _row(connection, namespace, interrupt_id)
    executions.lock(connection, row.execution_id)
    now = db.sync_clock(connection)
    while True:
        row = _standing(connection, namespace, interrupt_id, now)
        counted = _counted(row)
        if _repeats(decision, counted) and row.status in {"open", "decided", "consumed"}:
            refused(db, connection, interrupt_id, decision, REPEATED)
            return False
        _refuse(row, decision, counted, now)
        votes = [*json.loads(row.votes), {"by": decision.by, "at": now, "digest": decision.digest}]
        values: dict[str, Any] = {"votes": json.dumps(votes)}
        if decision.alone or len(_agreeing(decision, counted)) >= row.required:
            values |= _decided(db, connection, decision, now)
        won = connection.execute(
            update(T)
            .where(C.id == interrupt_id, C.status == "open", (C.expires_at.is_(None)) | (C.expires_at > now))
            .values(values)
        )
        if won.rowcount == 1:  # else its owner closed it at this moment: look again
            if "status" in values:
                executions.wake(connection, row.execution_id, now=now)
            return True


def _counted(row: Row[Any]) -> list[Mapping[str, Any]]:
    return [vote for vote in json.loads(row.votes) if "refused" not in vote]


def _repeats(decision: NewDecision, counted: Sequence[Mapping[str, Any]]) -> bool:
    return any((vote["by"], vote["digest"]) == (decision.by, decision.digest) for vote in counted)


def _agreeing(decision: NewDecision, counted: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the persons who have given this answer, with the one who gives it now."""
    return {decision.by, *(vote["by"] for vote in counted if vote["digest"] == decision.digest)}


REPEATED = "repeated"
"""Why the same answer of the same person does not count again: it is no error."""

MOST = 200
"""Answers that did not count and are kept, of one interrupt."""


def refused(db: Database, connection: Connection, interrupt_id: str, decision: NewDecision, why: str) -> None:
    """Keep an answer that did not count."""
    executions.lock(connection, connection.execute(select(C.execution_id).where(C.id == interrupt_id)).scalar_one())
    votes = json.loads(connection.execute(select(C.votes).where(C.id == interrupt_id)).scalar_one())
    if sum("refused" in vote for vote in votes) >= MOST:
        return
    votes.append({"by": decision.by, "at": db.sync_clock(connection), "digest": decision.digest, "refused": why})
    connection.execute(update(T).where(C.id == interrupt_id).values(votes=json.dumps(votes)))


@dataclass(frozen=True, slots=True)
class NewDelegation:
    """Handing over of a decision: who hands it to whom.

    ``admit`` raises if they may not, under the interrupt's terms.
    """

    by: str
    to: str
    admit: Callable[[str, Terms], None]
    comment: str | None = None


def delegate(db: Database, connection: Connection, namespace: str, interrupt_id: str, new: NewDelegation) -> None:
    """Hand the decision of one person to another: the one may then decide, and the other no more.

    Raises InterruptNotFound, AlreadyDecided if they have answered or it is decided, DecisionExpired, and what
    ``new.admit`` raises.
    """
    executions.lock(connection, _row(connection, namespace, interrupt_id).execution_id)
    now = db.sync_clock(connection)
    row = _standing(connection, namespace, interrupt_id, now)
    _refuse(row, new, _counted(row), now)
    terms = terms_of(row.terms)
    entry = {"by": new.by, "to": new.to, "at": now, "comment": new.comment}
    handed = replace(terms, delegations=(*terms.delegations, entry))
    won = connection.execute(
        update(T).where(C.id == interrupt_id, C.status == "open").values(terms=json.dumps(asdict(handed)))
    )
    if won.rowcount != 1:
        msg = f"interrupt {interrupt_id!r} was closed at this very moment; try again"
        raise DatabaseBusy(msg)


_ROW = select(T).where(C.id == bindparam("of"), C.namespace == bindparam("within"))


def _row(connection: Connection, namespace: str, interrupt_id: str) -> Row[Any]:
    row = connection.execute(_ROW, {"of": interrupt_id, "within": namespace}).first()
    if row is None:
        raise InterruptNotFound(interrupt_id)
    return row


def _standing(connection: Connection, namespace: str, interrupt_id: str, now: float) -> Row[Any]:
    """Return the interrupt as the clock has it: one whose first time is over is escalated, whoever notices it first."""
    row = _row(connection, namespace, interrupt_id)
    if (
        row.status == "open"
        and row.expires_at is not None
        and row.expires_at <= now
        and terms_of(row.terms).escalate_to
    ):
        connection.execute(
            update(T)
            .where(C.id == interrupt_id, C.status == "open", C.expires_at == row.expires_at)
            .values(escalated(terms_of(row.terms), row.expires_at))
        )
        return _row(connection, namespace, interrupt_id)
    return row


def _refuse(row: Row[Any], new: NewDecision | NewDelegation, counted: Sequence[Mapping[str, Any]], now: float) -> None:
    if row.status == "expired" or (row.status == "open" and row.expires_at is not None and row.expires_at <= now):
        raise DecisionExpired(row.id)
    if row.status != "open":
        raise AlreadyDecided(row.id, row.status, row.decided_by if row.status != "cancelled" else None)
    new.admit(row.id, terms_of(row.terms))
    if any(vote["by"] == new.by for vote in counted):
        raise AlreadyDecided(row.id, "answered otherwise", new.by)


def _decided(db: Database, connection: Connection, decision: NewDecision, now: float) -> dict[str, Any]:
    stored, keep = blobs.stash(db, decision.value)
    if keep is not None:
        keep(connection)
    return {
        "status": "decided",
        "decision": stored,
        "decided_by": decision.by,
        "decided_at": now,
        "comment": decision.comment,
    }
