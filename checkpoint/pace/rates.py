"""Keep rates: how often something may be done by all workers of a database together.

A token bucket of which one instant is kept: when the next call would be due if they came evenly. A call is let through
as long as that lies no more than ``per`` seconds ahead, so at most ``calls`` at once, and one every ``per / calls``
seconds after that. A call that is not let through only writes its turn to come again: each waiting call has a turn of
its own, so they do not all come at the same instant.

Instants are epoch seconds on the database's clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, update
from sqlalchemy.dialects import postgresql, sqlite

from durable.checkpoint import schema
from durable.checkpoint.executions import TICK

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from durable.checkpoint.database import Database

T = schema.rates
C = T.c


def take(  # noqa: PLR0913 - the numbers of a rate
    db: Database, connection: Connection, namespace: str, name: str, *, calls: int, per: float
) -> float | None:
    """Let one call through and return None; or return the instant at which to ask again.

    One conditional statement decides.
    """
    interval = per / calls
    now = db.now()
    later = case((C.next_at > now, C.next_at), else_=now)
    insert = (sqlite if db.is_sqlite else postgresql).insert(T)
    attempt = insert.values(namespace=namespace, name=name, next_at=now + interval, turn_at=0.0).on_conflict_do_update(
        index_elements=[C.namespace, C.name],
        set_={"next_at": later + interval},
        where=C.next_at <= now + (per - interval + TICK),
    )
    if connection.execute(attempt.execution_options(preserve_rowcount=True)).rowcount == 1:
        return None
    free = C.next_at - (per - interval)
    turn = update(T).where(C.namespace == namespace, C.name == name)
    turn = turn.values(turn_at=case((C.turn_at + interval > free, C.turn_at + interval), else_=free))
    return float(connection.execute(turn.returning(C.turn_at)).scalar_one())
