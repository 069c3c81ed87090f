"""Snapshots as they are read back: one, a page of them, or what a channel's ancestors have written.

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
from durable.checkpoint.state.snapshots import PIECE, PLAIN, ROPE, Place, version_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

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
    """A list as it was given: its tag, and its items encoded one by one."""

    tag: str
    items: list[bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """A snapshot without the values of its channels. ``channels`` is ``{name: [version, small value or nothing]}``."""

    place: Place
    id: str
    parent: str | None
    metadata: bytes
    body: bytes
    channels: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Written:
    """A write as it is read back."""

    task: str
    idx: int
    task_path: str
    channel: str
    value: bytes | Listed


@dataclass(frozen=True, slots=True)
class Snapshot(Head):
    """A snapshot whole: the values of the channels that have one, and its writes by (task path, task, idx)."""

    values: Mapping[str, bytes | Listed] = field(default_factory=dict)
    writes: Sequence[Written] = ()


@dataclass(frozen=True, slots=True)
class History:
    """What a channel's ancestors say of it: the nearest stored value (None if there is none), and the writes since."""

    seed: bytes | Listed | None
    writes: list[Written]


class Pieces:
    """Pieces of one thread by digest, each read once."""

    def __init__(self, connection: Connection, namespace: str, thread: str) -> None:
        self._connection = connection
        self._here = (P.c.namespace == namespace) & (P.c.thread == thread)
        self._held: dict[bytes, bytes] = {}

    def fetch(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The pieces; one that is not there is missing in the answer."""
        wanted = [digest for digest in dict.fromkeys(digests) if digest not in self._held]
        for batch in batches(wanted):
            found = self._connection.execute(select(P.c.digest, P.c.piece).where(self._here, P.c.digest.in_(batch)))
            self._held.update((bytes(digest), bytes(piece)) for digest, piece in found)
        return self._held

    def opened(self, cell: bytes) -> bytes | Listed:
        """What a cell stands for. Raises CorruptPayload if a piece is missing."""
        kind, rest = cell[:1], cell[1:]
        if kind == PLAIN:
            return rest
        if kind == ROPE:
            end = 1 + rest[0]
            return Listed(rest[1:end].decode(), ropes.items_of(rest[end:], self.fetch))
        if kind == PIECE and (piece := self.fetch([rest]).get(rest)) is not None:
            return piece
        reason = f"piece {rest[:16].hex()} of a snapshot is missing"
        raise CorruptPayload(reason)

    def needed(self, cell: bytes) -> set[bytes]:
        """The digests of the pieces that a cell refers to."""
        kind, rest = cell[:1], cell[1:]
        if kind == ROPE:
            return ropes.pieces_of(rest[1 + rest[0] :], self.fetch)
        return {rest} if kind == PIECE else set()


def batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in IN lists of a bounded length."""
    for first in range(0, len(values), BATCH):
        yield values[first : first + BATCH]


def get(connection: Connection, place: Place, snapshot_id: str | None) -> Snapshot | None:
    """A snapshot by its id, or the newest one of its place; None if there is none."""
    query = select(*_HEAD).where(place.of(S))
    query = query.order_by(S.c.id.desc()).limit(1) if snapshot_id is None else query.where(S.c.id == snapshot_id)
    row = connection.execute(query).first()
    return None if row is None else whole(connection, head_of(row), Pieces(connection, place.namespace, place.thread))


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
    """Up to ``limit`` snapshots, newest first: with ids below ``before``, behind ``after``, the last one seen."""
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
    """A row of ``snapshots`` as it is read."""
    place = Place(row.namespace, row.thread, row.ns)
    channels = json.loads(row.channels)
    return Head(place, row.id, row.parent, bytes(row.metadata), bytes(row.body), channels)


def whole(connection: Connection, head: Head, pieces: Pieces) -> Snapshot:
    """A head with the values of its channels and its writes. Raises CorruptPayload if a piece is missing."""
    values: dict[str, bytes | Listed] = {
        name: given[1].encode() for name, given in head.channels.items() if len(given) > 1
    }
    stored = {(name, version_key(given[0])) for name, given in head.channels.items() if len(given) == 1}
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


def cells(connection: Connection, place: Place, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
    """The cells of (channel, version) pairs; those that have none are missing."""
    pairs = set(wanted)
    found: dict[tuple[str, str], bytes] = {}
    for batch in batches(sorted(pairs)):
        names, versions = {name for name, _ in batch}, {version for _, version in batch}
        query = select(V.c.channel, V.c.version, V.c.cell)
        rows = connection.execute(query.where(place.of(V), V.c.channel.in_(names), V.c.version.in_(versions)))
        found.update(((row.channel, row.version), bytes(row.cell)) for row in rows if (row[0], row[1]) in pairs)
    return found


def writes(
    connection: Connection,
    place: Place,
    snapshots: Sequence[str],
    *,
    pieces: Pieces,
    channels: Sequence[str] | None = None,
) -> Iterator[tuple[str, Written]]:
    """(snapshot, write) of these snapshots, those of one in the order in which a framework applies them."""
    for batch in batches(snapshots):
        query = select(W).where(place.of(W), W.c.snapshot.in_(batch))
        if channels is not None:
            query = query.where(W.c.channel.in_(channels))
        rows = connection.execute(query).all()
        for row in sorted(rows, key=lambda row: (row.task_path, row.task, row.idx)):
            yield row.snapshot, Written(row.task, row.idx, row.task_path, row.channel, pieces.opened(bytes(row.cell)))


class Lineage:
    """The ancestors of a snapshot; read in pages downwards, since a parent mostly is the next older one."""

    def __init__(self, connection: Connection, place: Place) -> None:
        self._connection = connection
        self._place = place
        self._rows: dict[str, tuple[str | None, Mapping[str, Sequence[Any]]]] = {}
        self._cells: dict[tuple[str, str], bytes] = {}

    def ancestors(self, snapshot_id: str) -> Iterator[tuple[str, Mapping[str, Sequence[Any]]]]:
        """(id, channels) of the parent, its parent, and so on, until one is missing or comes again."""
        seen = {snapshot_id}
        row = self._row(snapshot_id)
        while row is not None and row[0] is not None and row[0] not in seen:
            parent = row[0]
            seen.add(parent)
            row = self._row(parent)
            if row is not None:
                yield parent, row[1]

    def channels(self, snapshot_id: str) -> Mapping[str, Sequence[Any]]:
        """The channels of a snapshot; none if it is not there."""
        row = self._row(snapshot_id)
        return {} if row is None else row[1]

    def stored(self, channels: Mapping[str, Sequence[Any]], name: str) -> bytes | None:
        """The cell of a channel's value in a snapshot; None if it has none there."""
        given = channels.get(name)
        if given is None:
            return None
        if len(given) > 1:
            small: str = given[1]
            return PLAIN + small.encode()
        pair = (name, version_key(given[0]))
        if pair not in self._cells:
            wanted = {(name, version_key(row[1][name][0])) for row in self._rows.values() if name in row[1]}
            wanted -= self._cells.keys()
            self._cells |= dict.fromkeys(wanted, b"") | cells(self._connection, self._place, wanted)
        return self._cells[pair] or None

    def _row(self, snapshot_id: str) -> tuple[str | None, Mapping[str, Sequence[Any]]] | None:
        if snapshot_id not in self._rows:
            query = select(S.c.id, S.c.parent, S.c.channels).where(self._place.of(S), S.c.id <= snapshot_id)
            for row in self._connection.execute(query.order_by(S.c.id.desc()).limit(LINEAGE_PAGE)):
                self._rows[row.id] = (row.parent, json.loads(row.channels))
        return self._rows.get(snapshot_id)


def history(
    connection: Connection, place: Place, snapshot_id: str | None, channels: Sequence[str]
) -> dict[str, History]:
    """What the ancestors of a snapshot (None: the newest) say of each channel.

    An ancestor's value is what it held before the writes on top of it, so the writes of the ancestor where the value
    was found count too; those of the snapshot itself do not.
    """
    if snapshot_id is None:
        newest = select(S.c.id).where(place.of(S)).order_by(S.c.id.desc()).limit(1)
        snapshot_id = connection.execute(newest).scalar()
    lineage, pieces = Lineage(connection, place), Pieces(connection, place.namespace, place.thread)
    path: dict[str, list[str]] = {name: [] for name in channels}
    seeds: dict[str, bytes] = {}
    for ancestor, held in lineage.ancestors(snapshot_id or ""):
        for name in path.keys() - seeds.keys():
            path[name].append(ancestor)
            if (cell := lineage.stored(held, name)) is not None:
                seeds[name] = cell
        if len(seeds) == len(path):
            break
    longest = max(path.values(), key=len, default=[])
    found: dict[str, list[Written]] = {}
    for ancestor, write in writes(connection, place, longest, pieces=pieces, channels=list(path)):
        found.setdefault(ancestor, []).append(write)
    return {
        name: History(
            pieces.opened(seeds[name]) if name in seeds else None,
            [write for ancestor in reversed(walked) for write in found.get(ancestor, ()) if write.channel == name],
        )
        for name, walked in path.items()
    }
