"""Delete snapshots, thin them out, or copy them to another thread; what is still referred to stays.

A piece or a value may be needed by any snapshot of its thread, so deleting is marking and sweeping within the thread,
in one transaction in which nobody can refer to a piece anew. One thread a transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Table, delete, func, literal, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from durable.checkpoint import schema
from durable.checkpoint.state.reads import Ancestry, Pieces, batches
from durable.checkpoint.state.snapshots import PLAIN, SnapshotPlace, seize, share, version_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from durable.checkpoint.database import Database

S, V, W, P = schema.snapshots, schema.snapshot_values, schema.snapshot_writes, schema.snapshot_pieces
_ALL = (S, V, W, P)


def forget(db: Database, connection: Connection, namespace: str, thread: str) -> None:
    """Delete all snapshots of a thread with what belongs to them."""
    seize(db, connection, namespace, thread)
    for table in _ALL:
        connection.execute(delete(table).where(_within(table, namespace, thread)))


def threads_of_runs(connection: Connection, namespace: str, runs: Sequence[str]) -> list[str]:
    """Return the threads that have snapshots of these runs."""
    threads: set[str] = set()
    for batch in batches(runs):
        rows = connection.execute(select(S.c.thread).distinct().where(S.c.namespace == namespace, S.c.run.in_(batch)))
        threads.update(rows.scalars())
    return sorted(threads)


def forget_runs(db: Database, connection: Connection, namespace: str, thread: str, runs: Sequence[str]) -> None:
    """Delete a thread's snapshots of these runs, their writes, and what only they referred to."""
    seize(db, connection, namespace, thread)
    for batch in batches(runs):
        rows = connection.execute(select(S.c.ns, S.c.id).where(_within(S, namespace, thread), S.c.run.in_(batch))).all()
        for ns in {row.ns for row in rows}:
            _drop(connection, SnapshotPlace(namespace, thread, ns), [row.id for row in rows if row.ns == ns])
    _sweep(connection, namespace, thread)


def prune(
    db: Database, connection: Connection, namespace: str, thread: str, spread: Callable[[bytes], Iterable[str]]
) -> None:
    """Keep the newest snapshot of each place of a thread, and the ancestors it cannot be read without.

    ``spread(metadata)`` names the channels whose value is spread over the writes of ancestors: of such a channel all
    ancestors stay up to the nearest one that has its value.
    """
    seize(db, connection, namespace, thread)
    rows = connection.execute(select(S.c.ns, S.c.id, S.c.metadata).where(_within(S, namespace, thread))).all()
    for ns in {row.ns for row in rows}:
        place = SnapshotPlace(namespace, thread, ns)
        own = [row for row in rows if row.ns == ns]
        channels = {name for row in own for name in spread(bytes(row.metadata))}
        newest = max(row.id for row in own)
        needed = {newest, *_needed(Ancestry(connection, place), newest, channels)}
        _drop(connection, place, [row.id for row in own if row.id not in needed])
    _sweep(connection, namespace, thread)


def _needed(ancestry: Ancestry, newest: str, channels: set[str]) -> Iterable[str]:
    """Yield the ancestors that hold a part of these channels as they are in the newest snapshot."""
    held = ancestry.channels(newest)
    missing = {name for name in channels & held.keys() if ancestry.stored(held, name) is None}
    for ancestor, channels_then in ancestry.ancestors(newest):
        if not missing:
            return
        yield ancestor
        missing -= {name for name in missing if ancestry.stored(channels_then, name) is not None}


def thin(  # noqa: PLR0913 - where, what, and what is needed of it all the same
    db: Database,
    connection: Connection,
    namespace: str,
    thread: str,
    *,
    dropped: Mapping[str, Collection[str]],
    spread: Callable[[bytes], Iterable[str]],
) -> None:
    """Delete these snapshots, by place; the nearest ancestor that stays becomes the parent of what had them.

    Ancestors that a channel of ``spread(metadata)`` is rebuilt from stay, as in ``prune``.
    """
    seize(db, connection, namespace, thread)
    for ns, ids in dropped.items():
        place = SnapshotPlace(namespace, thread, ns)
        query = select(S.c.id, S.c.parent, S.c.metadata).where(place.of(S), S.c.id >= min(ids))
        later = connection.execute(query).all()
        channels = {name for row in later for name in spread(bytes(row.metadata))}
        ancestry = Ancestry(connection, place)
        staying = [row.id for row in later if row.id not in ids]
        needed = {name for snapshot in staying for name in _needed(ancestry, snapshot, channels)}
        gone = {row.id: row.parent for row in later if row.id in ids and row.id not in needed}
        for row in later:
            if row.id not in gone and row.parent in gone:
                moved = update(S).where(place.of(S), S.c.id == row.id)
                connection.execute(moved.values(parent=_staying(row.parent, gone)))
        _drop(connection, place, list(gone))
    _sweep(connection, namespace, thread)


def _staying(snapshot: str | None, gone: Mapping[str, str | None]) -> str | None:
    while snapshot is not None and snapshot in gone:
        snapshot = gone[snapshot]
    return snapshot


def copy(  # noqa: PLR0913 - from where, and to where
    db: Database, connection: Connection, namespace: str, thread: str, *, source: str, part: Until | None = None
) -> None:
    """Copy ``source``, or a part of it, to the thread; what that has under the same ids stays as it is."""
    part = part or Until()
    if source == thread:
        return
    for name in (source, thread):
        share(db, connection, SnapshotPlace(namespace, name, ""))
    insert = sqlite.insert if db.is_sqlite else postgresql.insert
    for table in _ALL:  # snapshots first: what a later one needs may come along, what an earlier one needs is there
        columns = [literal(thread, column.type) if column is table.c.thread else column for column in table.c]
        rows = select(*columns).where(_within(table, namespace, source), part.of(table))
        connection.execute(insert(table).from_select(list(table.c), rows).on_conflict_do_nothing())


@dataclass(frozen=True, slots=True)
class Until:
    """The part of a thread that is copied: snapshots up to ``last`` (all of them without it), but not ``without``.

    Of ``tips`` only the snapshot itself is copied, without what tasks have written on top of it.
    """

    last: str | None = None
    without: frozenset[str] = frozenset()
    tips: frozenset[str] = frozenset()

    def of(self, table: Table) -> ColumnElement[bool]:
        """The rows of a table that are in this part; values and pieces all are."""
        if table is not S and table is not W:
            return true()
        name = table.c.id if table is S else table.c.snapshot
        left_out = self.without if table is S else self.without | self.tips
        kept = name.not_in(left_out)
        return kept if self.last is None else kept & (name <= self.last)


def _within(table: Table, namespace: str, thread: str) -> ColumnElement[bool]:
    return (table.c.namespace == namespace) & (table.c.thread == thread)


def _drop(connection: Connection, place: SnapshotPlace, ids: Sequence[str]) -> None:
    for batch in batches(ids):
        connection.execute(delete(S).where(place.of(S), S.c.id.in_(batch)))
        connection.execute(delete(W).where(place.of(W), W.c.snapshot.in_(batch)))


def _sweep(connection: Connection, namespace: str, thread: str) -> None:
    """Delete the values no snapshot of the thread has, then the pieces no value and no write refers to."""
    live = {
        (row.ns, name, version_key(version[0]))
        for row in connection.execute(select(S.c.ns, S.c.channels).where(_within(S, namespace, thread)))
        for name, version in json.loads(row.channels).items()
    }
    rows = connection.execute(select(V.c.ns, V.c.channel, V.c.version).where(_within(V, namespace, thread))).all()
    dead = [row for row in rows if tuple(row) not in live]
    for (ns, channel), versions in _grouped(dead).items():
        column = SnapshotPlace(namespace, thread, ns).of(V) & (V.c.channel == channel)
        for batch in batches(versions):
            connection.execute(delete(V).where(column, V.c.version.in_(batch)))
    pieces = Pieces(connection, namespace, thread)
    needed: set[bytes] = set()
    for table in (V, W):
        refers = func.substr(table.c.cell, 1, 1) != PLAIN
        for cell in connection.execute(select(table.c.cell).where(_within(table, namespace, thread), refers)).scalars():
            needed |= pieces.needed(bytes(cell))
    held = connection.execute(select(P.c.digest).where(_within(P, namespace, thread))).scalars()
    unused = [digest for digest in map(bytes, held) if digest not in needed]
    for digests in batches(unused):
        connection.execute(delete(P).where(_within(P, namespace, thread), P.c.digest.in_(digests)))


def _grouped(rows: Iterable[Sequence[str]]) -> dict[tuple[str, str], list[str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for ns, channel, version in rows:
        groups.setdefault((ns, channel), []).append(version)
    return groups
