"""Find executions that wait although what they wait for has come, and wake them.

Nothing of this version leaves one: an answer that comes while an execution is being let go makes it pending at once.
Rows of an earlier version, or of a database that was restored, may contradict one another all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Double, bindparam, func, select, update

from durable.checkpoint import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection

_E, _I, _J = schema.executions.c, schema.interrupts.c, schema.journal.c

_CLAIMED_AT = (
    select(func.max(_J.at))
    .where(_J.execution_id == _E.id, _J.kind == "claimed")
    .correlate(schema.executions)
    .scalar_subquery()
)
_DECIDED = (
    select(_I.execution_id)
    .where(
        _I.namespace == bindparam("within"),
        _I.status == "decided",
        _I.execution_id == _E.id,
        _I.decided_at > _CLAIMED_AT,
    )
    .correlate(schema.executions)
    .exists()
)
"""Decided since the last claim: no segment knew of it. One that was known and not reached is no contradiction."""
_STRANDED = (_E.namespace == bindparam("within"), _E.status == "suspended", _E.run_after.is_(None), _DECIDED)


def stranded(connection: Connection, namespace: str) -> list[str]:
    """Return the ids of executions that are suspended without a time, though a question of theirs was decided."""
    return list(connection.execute(select(_E.id).where(*_STRANDED).order_by(_E.id), {"within": namespace}).scalars())


_WAKE = (
    update(schema.executions)
    .where(*_STRANDED)
    .values(status="pending", run_after=bindparam("now", type_=Double))
    .returning(_E.id)
)


def wake(connection: Connection, namespace: str, *, now: float) -> list[str]:
    """Make them pending. Returns their ids."""
    return list(connection.execute(_WAKE, {"within": namespace, "now": now}).scalars())
