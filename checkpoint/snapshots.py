"""Snapshots: a framework's saved state of a thread, versioned; a channel that did not change costs nothing.

A snapshot has an id, a parent, the version of each of its channels, and what the framework wants back (``body``,
``metadata``: encoded, opaque here). What a channel holds at a version is stored once, under that version; small
values stand in the snapshot itself; a list is a rope (see ``ropes``), so a version with one more item costs one
more item. ``writes`` are what tasks have written on top of a snapshot and the framework has not applied yet.

Ids of snapshots sort by the order in which they were made; the newest is the greatest. The functions run on the
caller's connection, so they commit together with the journal's record of them. Reading is in ``snapshot_reads``,
deleting and copying in ``snapshot_prune``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from durable.checkpoint import ropes, schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table

    from durable.checkpoint.database import Database
    from durable.checkpoint.ropes import Rope

INLINE = 512
"""Bytes of a value that stand in its own row; larger ones are pieces, stored once per thread by content."""

Version = str | int | float

PLAIN, PIECE, ROPE = b"v", b"p", b"r"
"""The first byte of a cell: a value, the digest of a value, or a list and its tag."""


class PiecesGone(Exception):
    """The version that a list was cut against was deleted meanwhile: it must be given whole."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of snapshots: the runtime's namespace, the thread, and the framework's own name within the thread."""

    namespace: str
    thread: str
    ns: str

    def of(self, table: Table) -> ColumnElement[bool]:
        """The rows of a table that belong here."""
        c = table.c
        return (c.namespace == self.namespace) & (c.thread == self.thread) & (c.ns == self.ns)

    @property
    def key(self) -> dict[str, str]:
        """The columns that every row here begins with."""
        return {"namespace": self.namespace, "thread": self.thread, "ns": self.ns}


@dataclass(frozen=True, slots=True)
class Cut:
    """A list that was stored: at which version, and its rope; what the next version is cut against."""

    version: Version
    rope: Rope
    tag: str = ""

    def cell(self) -> bytes:
        """What stands in the row of this version."""
        return rope_cell(self.tag, self.rope)


@dataclass(frozen=True, slots=True)
class Draft:
    """A snapshot on its way to the database. Each channel is given once, by one of the methods."""

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
        """A channel that is empty, or whose value is stored under this version already."""
        self.channels[channel] = [version]

    def small(self, channel: str, version: Version, encoded: bytes) -> None:
        """A value of some bytes of UTF-8, to stand in every snapshot that has this version."""
        self.channels[channel] = [version, encoded.decode()]

    def value(self, channel: str, version: Version, encoded: bytes) -> None:
        """A value, new at this version."""
        self.channels[channel] = [version]
        self.cells[channel, version] = value_cell(encoded, self.pieces)

    def listed(self, channel: str, cut: Cut, pieces: Mapping[bytes, bytes], base: Cut | None) -> None:
        """A list, new at this version; ``pieces`` are those that ``base`` does not have."""
        self.channels[channel] = [cut.version]
        self.cells[channel, cut.version] = cut.cell()
        self.pieces.update(pieces)
        if base is not None:
            self.based_on[channel] = base


@dataclass(frozen=True, slots=True)
class Write:
    """What a task wrote to a channel. ``idx`` is its place in the task; negative ones are the framework's own."""

    task: str
    idx: int
    task_path: str
    channel: str
    cell: bytes


def value_cell(encoded: bytes, pieces: dict[bytes, bytes]) -> bytes:
    """What stands in a row for a value; a large one is added to ``pieces``."""
    if len(encoded) <= INLINE:
        return PLAIN + encoded
    digest = ropes.digest_of(encoded)
    pieces[digest] = encoded
    return PIECE + digest


def rope_cell(tag: str, rope: Rope) -> bytes:
    """What stands in a row for a list; ``tag`` (at most 255 bytes) is the caller's word for what kind of list."""
    name = tag.encode()
    return ROPE + bytes([len(name)]) + name + ropes.descriptor(rope)


def version_key(version: Version) -> str:
    """A version as text, numbers marked: 1 and "1" are two."""
    return version if isinstance(version, str) else f"#{version!r}"


def _statements(insert: Any) -> dict[str, Any]:
    """The inserts of one dialect, made once: making them takes as long as running them."""
    whole, write = insert(schema.snapshots), insert(schema.snapshot_writes)
    changed = ("parent", "run", "channels", "body", "metadata")
    written = ("task_path", "channel", "cell")
    return {
        "snapshot": whole.on_conflict_do_update(
            index_elements=list(schema.snapshots.primary_key), set_={name: whole.excluded[name] for name in changed}
        ),
        "write": write.on_conflict_do_nothing(),
        "rewrite": write.on_conflict_do_update(
            index_elements=list(schema.snapshot_writes.primary_key),
            set_={name: write.excluded[name] for name in written},
        ),
        "value": insert(schema.snapshot_values).on_conflict_do_nothing(),
        "piece": insert(schema.snapshot_pieces).on_conflict_do_nothing(),
    }


_SQLITE, _POSTGRESQL = _statements(sqlite.insert), _statements(postgresql.insert)
_V = schema.snapshot_values.c
_CELL = select(_V.cell).where(
    _V.namespace == bindparam("namespace"),
    _V.thread == bindparam("thread"),
    _V.ns == bindparam("ns"),
    _V.channel == bindparam("channel"),
    _V.version == bindparam("version"),
)


def put(db: Database, connection: Connection, place: Place, draft: Draft) -> None:
    """Store a snapshot; one of the same id is replaced. What is stored under a version stays as it is.

    Raises PiecesGone if a list was cut against a version that is not there any more.
    """
    statements = _SQLITE if db.is_sqlite else _POSTGRESQL
    if draft.pieces or draft.based_on:
        share(db, connection, place)
    for channel, base in draft.based_on.items():
        at = {**place.key, "channel": channel, "version": version_key(base.version)}
        if connection.execute(_CELL, at).scalar() != base.cell():
            raise PiecesGone
    _keep_pieces(connection, statements, place, draft.pieces)
    if draft.cells:
        connection.execute(
            statements["value"],
            [
                {**place.key, "channel": channel, "version": version_key(version), "cell": cell}
                for (channel, version), cell in draft.cells.items()
            ],
        )
    row = {"id": draft.id, "parent": draft.parent, "run": draft.run, "body": draft.body, "metadata": draft.metadata}
    channels = json.dumps(draft.channels, ensure_ascii=False, separators=(",", ":"))
    connection.execute(statements["snapshot"], {**place.key, **row, "channels": channels})


def put_writes(  # noqa: PLR0913 - where, on what, what, how
    db: Database,
    connection: Connection,
    place: Place,
    snapshot: str,
    *,
    writes: Sequence[Write],
    pieces: Mapping[bytes, bytes],
    replace: bool,
) -> None:
    """Store what a task wrote on top of a snapshot.

    Of two writes with the same task and idx the first one counts, or with ``replace`` the last one.
    """
    statements = _SQLITE if db.is_sqlite else _POSTGRESQL
    if pieces:
        share(db, connection, place)
        _keep_pieces(connection, statements, place, pieces)
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
    if rows:
        connection.execute(statements["rewrite" if replace else "write"], rows)


def _keep_pieces(
    connection: Connection, statements: dict[str, Any], place: Place, pieces: Mapping[bytes, bytes]
) -> None:
    if pieces:
        at = {"namespace": place.namespace, "thread": place.thread}
        connection.execute(
            statements["piece"], [{**at, "digest": digest, "piece": piece} for digest, piece in sorted(pieces.items())]
        )


def share(db: Database, connection: Connection, place: Place) -> None:
    """Until the end of the transaction, nobody deletes pieces of this thread."""
    _lock(db, connection, place.namespace, place.thread, func.pg_advisory_xact_lock_shared)


def seize(db: Database, connection: Connection, namespace: str, thread: str) -> None:
    """Until the end of the transaction, nobody refers to pieces of this thread anew. One thread a transaction."""
    _lock(db, connection, namespace, thread, func.pg_advisory_xact_lock)


def _lock(db: Database, connection: Connection, namespace: str, thread: str, lock: Any) -> None:
    if not db.is_sqlite:  # there a write transaction is alone anyway
        connection.execute(select(lock(func.hashtextextended(json.dumps([namespace, thread]), 0))))
