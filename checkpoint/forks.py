"""Forks: a new execution that begins with the records of another one, up to a point, under a digest chain of its own.

The records are copied as they are (seq, epoch, instant, payload) and a note that says where they are from follows them,
all in one transaction. The epoch of the new execution is that of the last claim it has on record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select

from durable.checkpoint import schema
from durable.checkpoint.errors import ExecutionConflict
from durable.checkpoint.executions import insert_row, refuse_other
from durable.checkpoint.journal import journal
from durable.checkpoint.records import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from durable.checkpoint.database import Database
    from durable.checkpoint.executions import NewExecution
    from durable.checkpoint.records import NewRecord

_J = schema.journal
_PREFIX = select(_J).where(_J.c.execution_id == bindparam("of"), _J.c.seq <= bindparam("until")).order_by(_J.c.seq)
_AT = select(_J.c.payload).where(_J.c.execution_id == bindparam("of"), _J.c.seq == bindparam("at"))
_RECORD = insert(_J)


def fork(  # noqa: PLR0913 - what is copied, from where, and what goes with it
    db: Database,
    connection: Connection,
    new: NewExecution,
    *,
    source: str,
    at: int,
    note: NewRecord,
    companions: Sequence[Callable[[Connection], object]] = (),
) -> bool:
    """Insert the fork of ``source`` at seq ``at``; False if this very fork exists already.

    Raises ExecutionConflict if the id is taken by anything else, ThreadBusy.
    """
    now = db.sync_clock(connection)
    prefix = [dict(row) for row in connection.execute(_PREFIX, {"of": source, "until": at}).mappings()]
    epoch = max(row["epoch"] for row in prefix)
    if not insert_row(db, connection, new, now=now, epoch=epoch):
        refuse_other(connection, new)
        known = connection.execute(_AT, {"of": new.id, "at": at + 1}).scalar()
        if known is None or bytes(known) != pack(note):
            raise ExecutionConflict(new.id, "origin")
        return False
    digest = journal.GENESIS
    for row in prefix:
        row |= {"execution_id": new.id, "payload": bytes(row["payload"])}
        digest = row["digest"] = journal.digest_of(row, digest)
    follows = journal.new_row(new.id, at + 1, epoch, note, now, digest)
    connection.execute(_RECORD, [*prefix, follows])
    for companion in companions:
        companion(connection)
    return True
