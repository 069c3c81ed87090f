"""Sessions: what was said in a conversation, in the order in which it was stored, and state beside it.

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

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from durable.checkpoint import schema
from durable.checkpoint.errors import ItemConflict, SessionChanged, SessionExists, SessionNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from durable.checkpoint.database import Database

S, ITEM, STATE = schema.session_heads.c, schema.session_items.c, schema.session_state.c


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session is: the runtime's namespace, then the framework's own names."""

    namespace: str
    app: str
    user: str
    id: str

    def here(self) -> ColumnElement[bool]:
        """The session's row."""
        return (S.namespace == self.namespace) & (S.app == self.app) & (S.user == self.user) & (S.id == self.id)


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it stands: its place, how many changes it has seen, and when (epoch seconds)."""

    number: int
    place: Place
    revision: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item, encoded. ``id`` makes appending idempotent; ``at`` is the framework's own instant, only to filter by."""

    body: bytes
    id: str | None = None
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An item and its number in the session."""

    seq: int
    id: str | None
    body: bytes


def create(db: Database, connection: Connection, place: Place, *, at: float | None = None) -> Session:
    """A new session, at revision 0. ``at`` replaces the database's clock. Raises SessionExists."""
    if not _insert(db, connection, place, at):
        raise SessionExists(place.id)
    return hold(connection, place)


def get(connection: Connection, place: Place) -> Session | None:
    """The session; None if there is none."""
    row = connection.execute(select(schema.session_heads).where(place.here())).first()
    return None if row is None else _session(row)


def find(connection: Connection, namespace: str, app: str, *, user: str | None = None) -> list[Session]:
    """The sessions of an app, or of one of its users: the one that was written to last comes last."""
    query = select(schema.session_heads).where(S.namespace == namespace, S.app == app)
    if user is not None:
        query = query.where(S.user == user)
    return [_session(row) for row in connection.execute(query.order_by(S.updated_at, S.user, S.id))]


def drop(connection: Connection, place: Place) -> None:
    """Delete the session, its items and its own state."""
    connection.execute(delete(schema.session_heads).where(place.here()))
    scope = _scope((place.app, place.user, place.id))
    connection.execute(delete(schema.session_state).where(STATE.namespace == place.namespace, STATE.scope == scope))


def append(  # noqa: PLR0913 - where, what, and what is assumed
    db: Database,
    connection: Connection,
    place: Place,
    items: Sequence[NewItem],
    *,
    expect: int | None = None,
    make: bool = False,
    at: float | None = None,
) -> Session:
    """Append the items that are not there yet; the session as it stands then.

    With ``make`` a session that is missing is made. ``at`` is the session's new ``updated_at``. Raises
    SessionNotFound, SessionChanged if the session is not at the revision ``expect`` and anything is to be written, and
    ItemConflict for a known id with another body.
    """
    if make and get(connection, place) is None:
        _insert(db, connection, place, at)
    session = hold(connection, place)
    known = _known(connection, session, [item.id for item in items if item.id is not None])
    new: list[NewItem] = []
    for item in items:
        body = None if item.id is None else known.get(item.id)
        if body is None:
            new.append(item)
            if item.id is not None:
                known[item.id] = item.body
        elif body != item.body:
            raise ItemConflict(place.id, item.id or "")
    if not new:
        return session
    _expect(session, expect)
    rows = [
        {"session": session.number, "seq": session.revision + place_in, "id": item.id, "at": item.at, "body": item.body}
        for place_in, item in enumerate(new, 1)
    ]
    connection.execute(insert(schema.session_items), rows)
    return _changed(db, connection, session, len(new), at)


def read(
    connection: Connection,
    session: Session,
    *,
    last: int | None = None,
    after: float | None = None,
    revision: int | None = None,
) -> list[Item]:
    """The items in order: the ``last`` ones of those that were said at ``after`` or later, as of a ``revision``."""
    query = select(ITEM.seq, ITEM.id, ITEM.body).where(ITEM.session == session.number)
    if revision is None:
        query = query.where(ITEM.gone.is_(None))
    else:
        query = query.where(ITEM.seq <= revision, or_(ITEM.gone.is_(None), ITEM.gone > revision))
    if after is not None:
        query = query.where(ITEM.at >= after)
    query = query.order_by(ITEM.seq) if last is None else query.order_by(ITEM.seq.desc()).limit(last)
    found = [Item(row.seq, row.id, bytes(row.body)) for row in connection.execute(query)]
    return found if last is None else found[::-1]


def withdraw(
    db: Database, connection: Connection, place: Place, *, since: int = 0, expect: int | None = None
) -> Session | None:
    """Take back the items with a number of ``since`` or more; None if there is no such session.

    Raises SessionChanged if the session is not at the revision ``expect``.
    """
    if get(connection, place) is None:
        return None
    session = hold(connection, place)
    _expect(session, expect)
    here = (ITEM.session == session.number) & (ITEM.seq >= since) & ITEM.gone.is_(None)
    # an id that is free again may come again
    connection.execute(update(schema.session_items).where(here).values(gone=session.revision + 1, id=None))
    return _changed(db, connection, session, 1, None)


def pop(db: Database, connection: Connection, place: Place) -> Item | None:
    """Take back the last item and return it; None if there is none."""
    session = get(connection, place)
    if session is None:
        return None
    session = hold(connection, place)
    found = read(connection, session, last=1)
    if not found:
        return None
    withdraw(db, connection, place, since=found[0].seq)
    return found[0]


def purge(connection: Connection, place: Place) -> None:
    """Delete for good what was withdrawn: it cannot be read at earlier revisions any more."""
    session = get(connection, place)
    if session is not None:
        gone = (ITEM.session == session.number) & ITEM.gone.is_not(None)
        connection.execute(delete(schema.session_items).where(gone))


def state(connection: Connection, namespace: str, *scopes: tuple[str, ...]) -> list[dict[str, bytes]]:
    """What is kept under each of these scopes: encoded values by key."""
    named = [_scope(scope) for scope in scopes]
    found: dict[str, dict[str, bytes]] = {scope: {} for scope in named}
    query = select(STATE.scope, STATE.key, STATE.value).where(STATE.namespace == namespace, STATE.scope.in_(found))
    for row in connection.execute(query.order_by(STATE.key)):
        found[row.scope][row.key] = bytes(row.value)
    return [found[scope] for scope in named]


def keep_state(
    db: Database, connection: Connection, namespace: str, scope: tuple[str, ...], values: Mapping[str, bytes]
) -> None:
    """Set these keys of a scope; the others stay. A scope is a path of names: an app, a user of it, a session."""
    rows = [
        {"namespace": namespace, "scope": _scope(scope), "key": key, "value": value}
        for key, value in sorted(values.items())
    ]
    if rows:
        statement = (sqlite.insert if db.is_sqlite else postgresql.insert)(schema.session_state)
        replaced = {"value": statement.excluded["value"]}
        connection.execute(
            statement.on_conflict_do_update(index_elements=[STATE.namespace, STATE.scope, STATE.key], set_=replaced),
            rows,
        )


def _scope(path: Iterable[str]) -> str:
    return json.dumps(list(path), ensure_ascii=False)


def _insert(db: Database, connection: Connection, place: Place, at: float | None) -> bool:
    now = db.sync_clock(connection) if at is None else at
    names = {"namespace": place.namespace, "app": place.app, "user": place.user, "id": place.id}
    row = {**names, "revision": 0, "created_at": now, "updated_at": now}
    return bool(connection.execute(db.insert_or_ignore(schema.session_heads), row).rowcount == 1)


def hold(connection: Connection, place: Place) -> Session:
    """The session; nobody else writes to it until the end of the transaction. Raises SessionNotFound."""
    row = connection.execute(select(schema.session_heads).where(place.here()).with_for_update()).first()
    if row is None:
        raise SessionNotFound(place.id)
    return _session(row)


def _session(row: Any) -> Session:
    place = Place(row.namespace, row.app, row.user, row.id)
    return Session(row.number, place, row.revision, row.created_at, row.updated_at)


def _expect(session: Session, expect: int | None) -> None:
    if expect is not None and expect != session.revision:
        raise SessionChanged(session.place.id, expect, session.revision)


def _known(connection: Connection, session: Session, ids: Sequence[str]) -> dict[str, bytes]:
    if not ids:
        return {}
    query = select(ITEM.id, ITEM.body).where(ITEM.session == session.number, ITEM.id.in_(ids))
    return {row.id: bytes(row.body) for row in connection.execute(query)}


def _changed(db: Database, connection: Connection, session: Session, by: int, at: float | None) -> Session:
    now = db.clock() if at is None else at
    values = {"revision": session.revision + by, "updated_at": now}
    connection.execute(update(schema.session_heads).where(S.number == session.number).values(**values))
    return Session(session.number, session.place, session.revision + by, session.created_at, now)
