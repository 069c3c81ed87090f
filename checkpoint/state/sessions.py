"""Keep sessions: what was said in a conversation, in the order in which it was stored, and state beside it.

A session counts its own changes: each item takes the next number of its revision, so order and staleness never depend
on anybody's clock. Appending an item again under its id changes nothing. A write that expects a revision is refused
with SessionChanged if somebody else has written since.

Items that are withdrawn keep their row, marked with the revision at which they went, so what was read at a revision can
be read again at it; ``purge`` deletes them for good.

The functions run on the caller's connection: as companions of a journal's append they commit with its records, or
not at all, and are fenced as it is; in a transaction of their own they need no execution. A session's row is held
to the end of the transaction, so of two writers one comes after the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import LargeBinary, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from durable.checkpoint import schema
from durable.checkpoint.errors import ItemConflict, SessionChanged, SessionExists, SessionNotFound
from durable.checkpoint.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from durable.checkpoint.database import Database

S, ITEM, STATE = schema.session_heads.c, schema.session_items.c, schema.session_state.c

SCOPES = 500
"""Scopes of state that are asked for in one query: databases limit the parameters of a statement."""


@dataclass(frozen=True, slots=True)
class SessionPlace:
    """Place of a session: the runtime's namespace, then the framework's own names."""

    namespace: str
    app: str
    user: str
    id: str

    @property
    def names(self) -> dict[str, str]:
        """Return the names by column."""
        return {"namespace": self.namespace, "app": self.app, "user": self.user, "id": self.id}


_HERE = (
    (S.namespace == bindparam("namespace"))
    & (S.app == bindparam("app"))
    & (S.user == bindparam("user"))
    & (S.id == bindparam("id"))
)
_GET = Prepared(lambda _: select(schema.session_heads).where(_HERE))
_HOLD = Prepared(lambda _: select(schema.session_heads).where(_HERE).with_for_update())
_DROP = Prepared(lambda _: delete(schema.session_heads).where(_HERE))
_KNOWN = Prepared(lambda _: select(ITEM.body).where(ITEM.session == bindparam("session"), ITEM.id == bindparam("id")))
_ADD = Prepared(lambda _: insert(schema.session_items))
_MOVE = Prepared(
    lambda _: (
        update(schema.session_heads)
        .where(S.number == bindparam("session"))
        .values(revision=bindparam("to"), updated_at=bindparam("now"))
    )
)


@dataclass(frozen=True, slots=True)
class Session:
    """Session as it stands: its place, how many changes it has seen, and when (epoch seconds)."""

    number: int
    place: SessionPlace
    revision: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class NewItem:
    """Encoded item.

    ``id`` makes appending idempotent; ``at`` is the framework's own instant, only to filter by.
    """

    body: bytes
    id: str | None = None
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """Item and its number in the session."""

    seq: int
    id: str | None
    body: bytes


def create(db: Database, connection: Connection, place: SessionPlace, *, at: float | None = None) -> Session:
    """Make a new session, at revision 0. ``at`` replaces the database's clock. Raises SessionExists."""
    if not _insert(db, connection, place, at):
        raise SessionExists(place.id)
    return hold(connection, place)


def get(connection: Connection, place: SessionPlace) -> Session | None:
    """Return the session; None if there is none."""
    return _session(_GET.fetch(connection, place.names))


def find(connection: Connection, namespace: str, app: str, *, user: str | None = None) -> list[Session]:
    """Return the sessions of an app, or of one of its users: the one that was written to last comes last."""
    query = select(schema.session_heads).where(S.namespace == namespace, S.app == app)
    if user is not None:
        query = query.where(S.user == user)
    return [_made(row) for row in connection.execute(query.order_by(S.updated_at, S.user, S.id))]


def drop(connection: Connection, place: SessionPlace) -> None:
    """Delete the session, its items and its own state."""
    _DROP.run(connection, [place.names])
    scope = _scope((place.app, place.user, place.id))
    connection.execute(delete(schema.session_state).where(STATE.namespace == place.namespace, STATE.scope == scope))


def append(  # noqa: PLR0913 - where, what, and what is assumed
    db: Database,
    connection: Connection,
    place: SessionPlace,
    items: Sequence[NewItem],
    *,
    expect: int | None = None,
    make: bool = False,
    at: float | None = None,
) -> Session:
    """Append the items that are not there yet. Returns the session as it stands then.

    With ``make`` a session that is missing is made. ``at`` is the session's new ``updated_at``. Raises
    SessionNotFound, SessionChanged if the session is not at the revision ``expect`` and anything is to be written, and
    ItemConflict for a known id with another body.
    """
    if make and get(connection, place) is None:
        _insert(db, connection, place, at)
    return add(db, connection, hold(connection, place), items, expect=expect, at=at)


def add(  # noqa: PLR0913 - where, what, and what is assumed
    db: Database,
    connection: Connection,
    session: Session,
    items: Sequence[NewItem],
    *,
    expect: int | None = None,
    at: float | None = None,
) -> Session:
    """Append to a session that is held in this transaction: at the same revision if nothing was new.

    Otherwise like ``append``.
    """
    new: list[NewItem] = []
    bodies: dict[str, bytes] = {}
    for item in items:
        if item.id is None:
            new.append(item)
            continue
        body = bodies.get(item.id) or _KNOWN.scalar(connection, {"session": session.number, "id": item.id})
        if body is None:
            new.append(item)
            bodies[item.id] = item.body
        elif bytes(body) != item.body:
            raise ItemConflict(session.place.id, item.id)
    if not new:
        return session
    _expect(session, expect)
    rows = [
        {"session": session.number, "seq": seq, "id": item.id, "at": item.at, "gone": None, "body": item.body}
        for seq, item in enumerate(new, session.revision + 1)
    ]
    _ADD.run(connection, rows)
    return _changed(db, connection, session, len(new), at)


def read(
    connection: Connection,
    session: Session,
    *,
    last: int | None = None,
    after: float | None = None,
    revision: int | None = None,
) -> list[Item]:
    """Return items in order: the ``last`` ones of those said at ``after`` or later, as of a ``revision``."""
    query = select(ITEM.seq, ITEM.id, ITEM.body).where(ITEM.session == session.number)
    if revision is None:
        query = query.where(ITEM.gone.is_(None))
    else:
        query = query.where(ITEM.seq <= revision, or_(ITEM.gone.is_(None), ITEM.gone > revision))
    if after is not None:
        query = query.where(ITEM.at >= after)
    query = query.order_by(ITEM.seq) if last is None else query.order_by(ITEM.seq.desc()).limit(last)
    items = [Item(row.seq, row.id, bytes(row.body)) for row in connection.execute(query)]
    return items if last is None else items[::-1]


def ending(connection: Connection, place: SessionPlace, endings: Iterable[bytes]) -> set[bytes]:
    """Return which of these, all of one length, an item of any session of this app's user ends with."""
    remaining = set(endings)
    if not remaining:
        return remaining
    last = func.substr(ITEM.body, func.length(ITEM.body) + 1 - len(next(iter(remaining))), type_=LargeBinary())
    query = select(last).join(schema.session_heads, ITEM.session == S.number)
    of_user = query.where(S.namespace == place.namespace, S.app == place.app, S.user == place.user)
    return {bytes(body) for body in connection.execute(of_user.where(last.in_(remaining))).scalars()}


def withdraw(  # noqa: PLR0913 - where, and which
    db: Database,
    connection: Connection,
    place: SessionPlace,
    *,
    since: int = 0,
    before: int | None = None,
    expect: int | None = None,
) -> Session | None:
    """Take back the items with a number of ``since`` or more, below ``before``; None if there is no such session.

    Raises SessionChanged if the session is not at the revision ``expect``.
    """
    if get(connection, place) is None:
        return None
    session = hold(connection, place)
    _expect(session, expect)
    chosen = (ITEM.session == session.number) & (ITEM.seq >= since) & ITEM.gone.is_(None)
    if before is not None:
        chosen &= ITEM.seq < before
    # an id that is free again may come again
    connection.execute(update(schema.session_items).where(chosen).values(gone=session.revision + 1, id=None))
    return _changed(db, connection, session, 1, None)


def pop(db: Database, connection: Connection, place: SessionPlace) -> Item | None:
    """Take back the last item and return it; None if there is none."""
    session = get(connection, place)
    if session is None:
        return None
    session = hold(connection, place)
    items = read(connection, session, last=1)
    if not items:
        return None
    withdraw(db, connection, place, since=items[0].seq)
    return items[0]


def purge(connection: Connection, place: SessionPlace) -> None:
    """Delete for good what was withdrawn: it cannot be read at earlier revisions any more."""
    session = get(connection, place)
    if session is not None:
        gone = (ITEM.session == session.number) & ITEM.gone.is_not(None)
        connection.execute(delete(schema.session_items).where(gone))


def state(connection: Connection, namespace: str, *scopes: tuple[str, ...]) -> list[dict[str, bytes]]:
    """Return what is kept under each of these scopes: encoded values by key."""
    named = [_scope(scope) for scope in scopes]
    values: dict[str, dict[str, bytes]] = {scope: {} for scope in named}
    distinct = list(values)
    query = select(STATE.scope, STATE.key, STATE.value).where(STATE.namespace == namespace).order_by(STATE.key)
    for first in range(0, len(distinct), SCOPES):
        for row in connection.execute(query.where(STATE.scope.in_(distinct[first : first + SCOPES]))):
            values[row.scope][row.key] = bytes(row.value)
    return [values[scope] for scope in named]


def keep_state(connection: Connection, namespace: str, scope: tuple[str, ...], values: Mapping[str, bytes]) -> None:
    """Set these keys of a scope; the others stay. A scope is a path of names: an app, a user of it, a session."""
    rows = [
        {"namespace": namespace, "scope": _scope(scope), "key": key, "value": value}
        for key, value in sorted(values.items())
    ]
    _KEEP.run(connection, rows)


def _upsert(dialect: str) -> Any:
    statement = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(schema.session_state)
    keys = [STATE.namespace, STATE.scope, STATE.key]
    return statement.on_conflict_do_update(index_elements=keys, set_={"value": statement.excluded["value"]})


_KEEP = Prepared(_upsert)


def _scope(path: Iterable[str]) -> str:
    return json.dumps(list(path), ensure_ascii=False)


def _insert(db: Database, connection: Connection, place: SessionPlace, at: float | None) -> bool:
    now = db.sync_clock(connection) if at is None else at
    row = {**place.names, "revision": 0, "created_at": now, "updated_at": now}
    return bool(connection.execute(db.insert_or_ignore(schema.session_heads), row).rowcount == 1)


def hold(connection: Connection, place: SessionPlace) -> Session:
    """Return the session; nobody else writes to it until the end of the transaction. Raises SessionNotFound."""
    session = _session(_HOLD.fetch(connection, place.names))
    if session is None:
        raise SessionNotFound(place.id)
    return session


def _session(row: Any) -> Session | None:
    return None if row is None else _made(row)


def _made(row: Any) -> Session:
    number, namespace, app, user, name, revision, created_at, updated_at = row
    return Session(number, SessionPlace(namespace, app, user, name), revision, created_at, updated_at)


def _expect(session: Session, expect: int | None) -> None:
    if expect is not None and expect != session.revision:
        raise SessionChanged(session.place.id, expect, session.revision)


def _changed(db: Database, connection: Connection, session: Session, by: int, at: float | None) -> Session:
    now = db.clock() if at is None else at
    _MOVE.run(connection, [{"session": session.number, "to": session.revision + by, "now": now}])
    return Session(session.number, session.place, session.revision + by, session.created_at, now)
