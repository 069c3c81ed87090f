"""Read snapshots back: one, a page of them, or what a channel's ancestors have written.

Values come as they were given, encoded; a list comes as its items. The functions run on the caller's connection and
see what its transaction sees.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import and_, or_, select, tuple_

from durable.checkpoint import schema
from durable.checkpoint.errors import CorruptPayload
from durable.checkpoint.state import ropes
from durable.checkpoint.state.snapshots import PIECE, PLAIN, ROPE, SnapshotPlace, version_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table

T = TypeVar("T")

BATCH = 500
"""How many values stand in one IN list."""
LINEAGE_PAGE = 64
"""How many snapshots are read at once on the way to an ancestor."""

S, V, W, P = (
    schema.snapshots,
    schema.snapshot_values,
    schema.snapshot_writes,
    schema.snapshot_pieces,
)
_HEAD = (S.c.namespace, S.c.thread, S.c.ns, S.c.id, S.c.parent, S.c.metadata, S.c.channels, S.c.body)


class Listed(NamedTuple):
    """List as it was given: its tag, and its items encoded one by one."""

    tag: str
    items: list[bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """Snapshot without the values of its channels. ``channels`` is ``{name: [version, small value or nothing]}``."""

    place: SnapshotPlace
    id: str
    parent: str | None
    metadata: bytes
    body: bytes
    channels: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Written:
    """Write as it is read back."""

    task: str
    idx: int
    task_path: str
    channel: str
    value: bytes | Listed


@dataclass(frozen=True, slots=True)
class Snapshot(Head):
    """Snapshot with the values of the channels that have one, and its writes by (task path, task, idx)."""

    values: Mapping[str, bytes | Listed] = field(default_factory=dict)
    writes: Sequence[Written] = ()


@dataclass(frozen=True, slots=True)
class History:
    """History of a channel: the nearest value stored by an ancestor (None if there is none), and the writes since."""

    seed: bytes | Listed | None
    writes: list[Written]


class Pieces:
    """Pieces of one thread by digest, each read once."""

    def __init__(self, connection: Connection, namespace: str, thread: str) -> None:
        self._connection = connection
        self._here = (P.c.namespace == namespace) & (P.c.thread == thread)
        self._held: dict[bytes, bytes] = {}

    def fetch(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the pieces by digest; one that is not there is missing."""
        missing = [digest for digest in dict.fromkeys(digests) if digest not in self._held]
        for batch in batches(missing):
            rows = self._connection.execute(select(P.c.digest, P.c.piece).where(self._here, P.c.digest.in_(batch)))
            self._held.update((bytes(digest), bytes(piece)) for digest, piece in rows)
        return self._held

    def opened(self, cell: bytes) -> bytes | Listed:
        """Return what a cell stands for. Raises CorruptPayload if a piece is missing."""
        kind = cell[:1]
        content = cell[1:]
        if kind == PLAIN:
            return content
        if kind == ROPE:
            end = 1 + content[0]
            return Listed(content[1:end].decode(), ropes.items_of(content[end:], self.fetch))
        piece = self.fetch([content]).get(content) if kind == PIECE else None
        if piece is not None:
            return piece
        reason = f"piece {content[:16].hex()} of a snapshot is missing"
        raise CorruptPayload(reason)

    def needed(self, cell: bytes) -> set[bytes]:
        """Return the digests of the pieces that a cell refers to."""
        kind = cell[:1]
        content = cell[1:]
        if kind == ROPE:
            return ropes.pieces_of(content[1 + content[0] :], self.fetch)
        return {content} if kind == PIECE else set()


def batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the values in IN lists of a bounded length."""
    for first in range(0, len(values), BATCH):
        yield values[first : first + BATCH]


def get(connection: Connection, place: SnapshotPlace, snapshot_id: str | None) -> Snapshot | None:
    """Return a snapshot by its id, or the newest one of its place; None if there is none."""
    query = select(*_HEAD).where(place.of(S))
    query = query.order_by(S.c.id.desc()).limit(1) if snapshot_id is None else query.where(S.c.id == snapshot_id)
    row = connection.execute(query).first()
    return None if row is None else whole(connection, head_of(row), Pieces(connection, place.namespace, place.thread))


def named(connection: Connection, place: SnapshotPlace, ids: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield (place, id, metadata) of these snapshots of the whole thread, those that are there."""
    for batch in batches(ids):
        query = select(S.c.ns, S.c.id, S.c.metadata).where(_thread_of(S, place), S.c.id.in_(batch))
        for row in connection.execute(query):
            yield row.ns, row.id, bytes(row.metadata)


def tasks(
    connection: Connection, place: SnapshotPlace, snapshots: Sequence[str], *, without: Sequence[str]
) -> set[str]:
    """Return the tasks that have written on top of these snapshots of the whole thread, but for these channels."""
    written: set[str] = set()
    for batch in batches(snapshots):
        query = select(W.c.task).where(_thread_of(W, place), W.c.snapshot.in_(batch), W.c.channel.not_in(without))
        written.update(connection.execute(query.distinct()).scalars())
    return written


def _thread_of(table: Table, place: SnapshotPlace) -> ColumnElement[bool]:
    return (table.c.namespace == place.namespace) & (table.c.thread == place.thread)


def page(  # noqa: PLR0913 - each is a filter of one query
    connection: Connection,
    namespace: str,
    *,
    thread: str | None = None,
    ns: str | None = None,
    snapshot_id: str | None = None,
    before: str | None = None,
    after: Head | None = None,
    limit: int,
) -> list[Head]:
    """Return up to ``limit`` snapshots, newest first: ids below ``before``, behind ``after`` (the last one read)."""
    c = S.c
    conditions = [c.namespace == namespace]
    conditions += [c.thread == thread] if thread is not None else []
    conditions += [c.ns == ns] if ns is not None else []
    conditions += [c.id == snapshot_id] if snapshot_id is not None else []
    conditions += [c.id < before] if before is not None else []
    if after is not None:
        later = tuple_(c.thread, c.ns) > tuple_(after.place.thread, after.place.ns)
        conditions.append(or_(c.id < after.id, and_(c.id == after.id, later)))
    query = select(*_HEAD).where(*conditions).order_by(c.id.desc(), c.thread, c.ns).limit(limit)
    return [head_of(row) for row in connection.execute(query)]


def head_of(row: Any) -> Head:
    """Return a row of ``snapshots`` as it is read."""
    place = SnapshotPlace(row.namespace, row.thread, row.ns)
    channels = json.loads(row.channels)
    return Head(place, row.id, row.parent, bytes(row.metadata), bytes(row.body), channels)


def whole(connection: Connection, head: Head, pieces: Pieces) -> Snapshot:
    """Return a head with the values of its channels and its writes. Raises CorruptPayload if a piece is missing."""
    values: dict[str, bytes | Listed] = {
        name: version[1].encode() for name, version in head.channels.items() if len(version) > 1
    }
    stored = {(name, version_key(version[0])) for name, version in head.channels.items() if len(version) == 1}
    for (name, _), cell in cells(connection, head.place, stored).items():
        values[name] = pieces.opened(cell)
    written = list(writes(connection, head.place, [head.id], pieces=pieces))
    return Snapshot(
        head.place,
        head.id,
        head.parent,
        head.metadata,
        head.body,
        head.channels,
        values,
        [write for _, write in written],
    )


def cells(
    connection: Connection, place: SnapshotPlace, asked_for: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], bytes]:
    """Return the cells of (channel, version) pairs; those that have none are missing."""
    pairs = set(asked_for)
    result: dict[tuple[str, str], bytes] = {}
    for batch in batches(sorted(pairs)):
        names = {name for name, _ in batch}
        versions = {version for _, version in batch}
        query = select(V.c.channel, V.c.version, V.c.cell)
        rows = connection.execute(query.where(place.of(V), V.c.channel.in_(names), V.c.version.in_(versions)))
        result.update(((row.channel, row.version), bytes(row.cell)) for row in rows if (row[0], row[1]) in pairs)
    return result


def writes(
    connection: Connection,
    place: SnapshotPlace,
    snapshots: Sequence[str],
    *,
    pieces: Pieces,
    channels: Sequence[str] | None = None,
) -> Iterator[tuple[str, Written]]:
    """Yield (snapshot, write) of these snapshots, those of one in the order in which a framework applies them."""
    for batch in batches(snapshots):
        query = select(W).where(place.of(W), W.c.snapshot.in_(batch))
        if channels is not None:
            query = query.where(W.c.channel.in_(channels))
        rows = connection.execute(query).all()
        for row in sorted(rows, key=lambda row: (row.task_path, row.task, row.idx)):
            yield row.snapshot, Written(row.task, row.idx, row.task_path, row.channel, pieces.opened(bytes(row.cell)))


class Ancestry:
    """Ancestors of a snapshot, read in pages downwards, since a parent mostly is the next older one."""

    def __init__(self, connection: Connection, place: SnapshotPlace) -> None:
        self._connection = connection
        self._place = place
        self._rows: dict[str, tuple[str | None, Mapping[str, Sequence[Any]]]] = {}
        self._cells: dict[tuple[str, str], bytes] = {}

    def ancestors(self, snapshot_id: str) -> Iterator[tuple[str, Mapping[str, Sequence[Any]]]]:
        """Yield (id, channels) of the parent, its parent, and so on, until one is missing or comes again."""
        visited = {snapshot_id}
        row = self._row(snapshot_id)
        while row is not None and row[0] is not None and row[0] not in visited:
            parent = row[0]
            visited.add(parent)
            row = self._row(parent)
            if row is not None:
                yield parent, row[1]

    def channels(self, snapshot_id: str) -> Mapping[str, Sequence[Any]]:
        """Return the channels of a snapshot; none if it is not there."""
        row = self._row(snapshot_id)
        return {} if row is None else row[1]

    def stored(self, channels: Mapping[str, Sequence[Any]], name: str) -> bytes | None:
        """Return the cell of a channel's value in a snapshot; None if it has none there."""
        version = channels.get(name)
        if version is None:
            return None
        if len(version) > 1:
            small: str = version[1]
            return PLAIN + small.encode()
        pair = (name, version_key(version[0]))
        if pair not in self._cells:
            unread = {(name, version_key(row[1][name][0])) for row in self._rows.values() if name in row[1]}
            unread -= self._cells.keys()
            self._cells |= dict.fromkeys(unread, b"") | cells(self._connection, self._place, unread)
        return self._cells[pair] or None

    def _row(self, snapshot_id: str) -> tuple[str | None, Mapping[str, Sequence[Any]]] | None:
        if snapshot_id not in self._rows:
            query = select(S.c.id, S.c.parent, S.c.channels).where(self._place.of(S), S.c.id <= snapshot_id)
            for row in self._connection.execute(query.order_by(S.c.id.desc()).limit(LINEAGE_PAGE)):
                self._rows[row.id] = (row.parent, json.loads(row.channels))
        return self._rows.get(snapshot_id)


def history(
    connection: Connection, place: SnapshotPlace, snapshot_id: str | None, channels: Sequence[str]
) -> dict[str, History]:
    """Return what the ancestors of a snapshot (None: the newest) say of each channel.

    An ancestor's value is what it held before the writes on top of it, so the writes of the ancestor where the value
    was found count too; those of the snapshot itself do not.
    """
    if snapshot_id is None:
        newest = select(S.c.id).where(place.of(S)).order_by(S.c.id.desc()).limit(1)
        snapshot_id = connection.execute(newest).scalar()
    seeds, paths = _nearest_values(Ancestry(connection, place), snapshot_id or "", channels)
    pieces = Pieces(connection, place.namespace, place.thread)
    longest = max(paths.values(), key=len, default=[])
    written: dict[str, list[Written]] = {}
    for ancestor, write in writes(connection, place, longest, pieces=pieces, channels=list(paths)):
        written.setdefault(ancestor, []).append(write)
    histories = {}
    for name, path in paths.items():
        seed = pieces.opened(seeds[name]) if name in seeds else None
        since = [write for ancestor in reversed(path) for write in written.get(ancestor, ())]
        histories[name] = History(seed, [write for write in since if write.channel == name])
    return histories


def _nearest_values(
    ancestry: Ancestry, snapshot_id: str, channels: Sequence[str]
) -> tuple[dict[str, bytes], dict[str, list[str]]]:
    """Return by channel the cell of its nearest stored value, and the ancestors up to and with the one that has it."""
    seeds: dict[str, bytes] = {}
    paths: dict[str, list[str]] = {name: [] for name in channels}
    for ancestor, versions in ancestry.ancestors(snapshot_id):
        for name in paths.keys() - seeds.keys():
            paths[name].append(ancestor)
            cell = ancestry.stored(versions, name)
            if cell is not None:
                seeds[name] = cell
        if len(seeds) == len(paths):
            break
    return seeds, paths
