"""Save a framework's state of a thread in versions; a channel that did not change costs nothing.

A snapshot has an id, a parent, the version of each of its channels, and what the framework wants back (``body``,
``metadata``: encoded, opaque here). What a channel holds at a version is stored once, under that version; small
values stand in the snapshot itself; a list is a rope (see ``ropes``), so a version with one more item costs one
more item. ``writes`` are what tasks have written on top of a snapshot and the framework has not applied yet.

Ids of snapshots sort by the order in which they were made; the newest is the greatest. The functions run on the
caller's connection, so they commit together with the journal's record of them. Reading is in ``reads``,
deleting and copying in ``prune``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from durable.checkpoint import schema
from durable.checkpoint.prepared import Prepared
from durable.checkpoint.state import ropes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table
    from sqlalchemy.sql.elements import CompilerElement

    from durable.checkpoint.database import Database
    from durable.checkpoint.state.ropes import Rope

INLINE = 512
"""Bytes of a value that stand in its own row; larger ones are pieces, stored once per thread by content."""

Version = str | int | float

PLAIN, PIECE, ROPE = b"v", b"p", b"r"
"""The first byte of a cell: a value, the digest of a value, or a list and its tag."""


class PiecesGone(Exception):
    """Raised when the version that a list was cut against was deleted meanwhile: it must be given whole."""


@dataclass(frozen=True, slots=True)
class SnapshotPlace:
    """Line of snapshots: the runtime's namespace, the thread, and the framework's own name within the thread."""

    namespace: str
    thread: str
    ns: str

    def of(self, table: Table) -> ColumnElement[bool]:
        """Return the condition for the rows of a table that belong here."""
        c = table.c
        return (c.namespace == self.namespace) & (c.thread == self.thread) & (c.ns == self.ns)

    @property
    def key(self) -> dict[str, str]:
        """Return the columns that every row here begins with."""
        return {"namespace": self.namespace, "thread": self.thread, "ns": self.ns}


@dataclass(frozen=True, slots=True)
class Cut:
    """List that was stored: at which version, and its rope. The next version is cut against it."""

    version: Version
    rope: Rope
    tag: str
    cell: bytes
    """What stands in the row of this version."""

    @classmethod
    def of(cls, version: Version, rope: Rope, tag: str) -> Cut:
        """Return the list at a version. ``tag`` (at most 255 bytes) is the caller's word for what kind of list."""
        name = tag.encode()
        return cls(version, rope, tag, ROPE + bytes([len(name)]) + name + ropes.descriptor(rope))


@dataclass(frozen=True, slots=True)
class Draft:
    """Snapshot on its way to the database. Each channel is given once, by one of the methods."""

    id: str
    parent: str | None
    body: bytes
    metadata: bytes
    run: str | None = None
    channels: dict[str, list[Any]] = field(default_factory=dict)
    cells: dict[tuple[str, Version], bytes] = field(default_factory=dict)
    pieces: dict[bytes, bytes] = field(default_factory=dict)
    based_on: dict[str, Cut] = field(default_factory=dict)

    def known(self, channel: str, version: Version) -> None:
        """Set a channel that is empty, or whose value is stored under this version already."""
        self.channels[channel] = [version]

    def small(self, channel: str, version: Version, encoded: bytes) -> None:
        """Set a value of some bytes of UTF-8, to stand in every snapshot that has this version."""
        self.channels[channel] = [version, encoded.decode()]

    def value(self, channel: str, version: Version, encoded: bytes) -> None:
        """Set a value, new at this version."""
        self.channels[channel] = [version]
        self.cells[channel, version] = value_cell(encoded, self.pieces)

    def listed(self, channel: str, cut: Cut, pieces: Mapping[bytes, bytes], base: Cut | None) -> None:
        """Set a list, new at this version; ``pieces`` are those that ``base`` does not have."""
        self.channels[channel] = [cut.version]
        self.cells[channel, cut.version] = cut.cell
        self.pieces.update(pieces)
        if base is not None:
            self.based_on[channel] = base


@dataclass(frozen=True, slots=True)
class Write:
    """Write of a task to a channel. ``idx`` is its place in the task; negative ones are the framework's own."""

    task: str
    idx: int
    task_path: str
    channel: str
    cell: bytes


def value_cell(encoded: bytes, pieces: dict[bytes, bytes]) -> bytes:
    """Return what stands in a row for a value; a large one is added to ``pieces``."""
    if len(encoded) <= INLINE:
        return PLAIN + encoded
    digest = ropes.digest_of(encoded)
    pieces[digest] = encoded
    return PIECE + digest


def version_key(version: Version) -> str:
    """Return a version as text, numbers marked: 1 and "1" are two."""
    return version if isinstance(version, str) else f"#{version!r}"


def _inserting(table: Table, *replaced: str) -> Prepared:
    """Return an INSERT that leaves an existing row as it is, or replaces these columns of it."""

    def make(dialect: str) -> CompilerElement:
        statement = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)
        if not replaced:
            return statement.on_conflict_do_nothing()
        values = {name: statement.excluded[name] for name in replaced}
        return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)

    return Prepared(make)


_SNAPSHOT = _inserting(schema.snapshots, "parent", "run", "channels", "body", "metadata")
_WRITE = _inserting(schema.snapshot_writes)
_REWRITE = _inserting(schema.snapshot_writes, "task_path", "channel", "cell")
_VALUE = _inserting(schema.snapshot_values)
_PIECE = _inserting(schema.snapshot_pieces)
_V = schema.snapshot_values.c
_CELL = Prepared(
    lambda _: select(_V.cell).where(
        _V.namespace == bindparam("namespace"),
        _V.thread == bindparam("thread"),
        _V.ns == bindparam("ns"),
        _V.channel == bindparam("channel"),
        _V.version == bindparam("version"),
    )
)


def put(db: Database, connection: Connection, place: SnapshotPlace, draft: Draft) -> None:
    """Store a snapshot; one of the same id is replaced. What is stored under a version stays as it is.

    Raises PiecesGone if a list was cut against a version that is not there any more.
    """
    if draft.pieces or draft.based_on:
        share(db, connection, place)
    for channel, base in draft.based_on.items():
        at = {**place.key, "channel": channel, "version": version_key(base.version)}
        if _CELL.scalar(connection, at) != base.cell:
            raise PiecesGone
    _keep_pieces(connection, place, draft.pieces)
    cells = [
        {**place.key, "channel": channel, "version": version_key(version), "cell": cell}
        for (channel, version), cell in draft.cells.items()
    ]
    _VALUE.run(connection, cells)
    row = {"id": draft.id, "parent": draft.parent, "run": draft.run, "body": draft.body, "metadata": draft.metadata}
    channels = json.dumps(draft.channels, ensure_ascii=False, separators=(",", ":"))
    _SNAPSHOT.run(connection, [{**place.key, **row, "channels": channels}])


def put_writes(  # noqa: PLR0913 - where, on what, what, how
    db: Database,
    connection: Connection,
    place: SnapshotPlace,
    snapshot: str,
    *,
    writes: Sequence[Write],
    pieces: Mapping[bytes, bytes],
    replace: bool,
) -> None:
    """Store what a task wrote on top of a snapshot.

    Of two writes with the same task and idx the first one counts, or with ``replace`` the last one.
    """
    if pieces:
        share(db, connection, place)
        _keep_pieces(connection, place, pieces)
    rows = [
        {
            **place.key,
            "snapshot": snapshot,
            "task": write.task,
            "idx": write.idx,
            "task_path": write.task_path,
            "channel": write.channel,
            "cell": write.cell,
        }
        for write in writes
    ]
    (_REWRITE if replace else _WRITE).run(connection, rows)


def _keep_pieces(connection: Connection, place: SnapshotPlace, pieces: Mapping[bytes, bytes]) -> None:
    at = {"namespace": place.namespace, "thread": place.thread}
    _PIECE.run(connection, [{**at, "digest": digest, "piece": piece} for digest, piece in sorted(pieces.items())])


def share(db: Database, connection: Connection, place: SnapshotPlace) -> None:
    """Keep everybody from deleting pieces of this thread until the end of the transaction."""
    if not db.is_sqlite:  # there a write transaction is alone anyway
        connection.execute(select(func.pg_advisory_xact_lock_shared(_lock(place.namespace, place.thread))))


def seize(db: Database, connection: Connection, namespace: str, thread: str) -> None:
    """Keep everybody from referring to pieces of this thread anew until the end of the transaction.

    One thread a transaction.
    """
    if not db.is_sqlite:
        connection.execute(select(func.pg_advisory_xact_lock(_lock(namespace, thread))))


def _lock(namespace: str, thread: str) -> ColumnElement[int]:
    return func.hashtextextended(json.dumps([namespace, thread]), 0)
