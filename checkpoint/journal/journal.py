"""Keep the journal: what happened in an execution, append-only.

``PRIMARY KEY (execution_id, seq)`` is the fence. The owner keeps the head in memory and inserts ``seq + 1``; a
claim by another worker takes that number in its own transaction, so a stale owner's next insert meets a constraint
and it gets LeaseLost, with nothing written. No lease is consulted to write.

Each record's digest is sha256 over the digest before it and the record, so an edit, a swap or a deletion in the
middle is visible to ``verify``. (A truncated tail is not, without a head kept elsewhere.)
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from durable.checkpoint import schema
from durable.checkpoint.errors import JournalCorrupt
from durable.checkpoint.journal.writer import Entry, Writer
from durable.checkpoint.records import KINDS, Kind, NewRecord, Record, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from durable.checkpoint.database import Database

GENESIS = b"\0" * 32
"""The digest before the first record."""


class Journal:
    """Journal of one execution in the hands of its owner under one epoch. Thread-safe.

    ``head`` is (seq, digest) of the last durable record; only the writer moves it.
    """

    def __init__(  # noqa: PLR0913 - what one owner holds
        self,
        writer: Writer,
        db: Database,
        execution_id: str,
        *,
        epoch: int,
        head: tuple[int, bytes],
        load: Callable[[bytes], Any],
    ) -> None:
        self.execution_id = execution_id
        self.epoch = epoch
        self.head = head
        self.lost = False
        self._writer = writer
        self._db = db
        self._load = load

    def append(
        self, *records: NewRecord, companions: Sequence[Callable[[Connection], object]] = ()
    ) -> tuple[Record, ...]:
        """Return when the records are durable, all of them together with their companions, or none.

        Raises LeaseLost if another worker has claimed the execution, StorageError if the database cannot take them,
        and whatever a companion raises.
        """
        entry = Entry(self, records, companions)
        self._writer.submit(entry)
        return tuple(record_of(row, self._load) for row in entry.rows)

    def transact(self, change: Callable[[Connection], Sequence[NewRecord]]) -> tuple[Record, ...]:
        """Run ``change`` in a transaction of its own and append the records it returns, all or nothing.

        It may run again if another writer was in the way. Raises what ``append`` raises, and what ``change`` raises.
        """
        entry = Entry(self, change, ())
        self._writer.submit_alone(entry)
        return tuple(record_of(row, self._load) for row in entry.rows)

    def rows_after(self, head: tuple[int, bytes], records: Iterable[NewRecord]) -> list[dict[str, Any]]:
        """Return the rows that put ``records`` behind ``head``."""
        seq, digest = head
        at = self._db.clock()
        rows = []
        for record in records:
            seq += 1
            row = new_row(self.execution_id, seq, self.epoch, record, at, digest)
            digest = row["digest"]
            rows.append(row)
        return rows


def new_row(  # noqa: PLR0913, PLR0917 - the columns of a row
    execution_id: str, seq: int, epoch: int, record: NewRecord, at: float, before: bytes
) -> dict[str, Any]:
    """Return one row of the journal, its digest chained to ``before``."""
    if record.kind not in KINDS:
        msg = f"{record.kind!r} is not a kind of record"
        raise ValueError(msg)
    row: dict[str, Any] = {
        "execution_id": execution_id,
        "seq": seq,
        "epoch": epoch,
        "kind": record.kind,
        "step_key": record.step_key,
        "at": at,
        "payload": pack(record),
    }
    row["digest"] = digest_of(row, before)
    return row


def digest_of(row: dict[str, Any], before: bytes) -> bytes:
    """Return the sha256 over the digest before and every field of the record."""
    fields = json.dumps([row["execution_id"], row["seq"], row["epoch"], row["kind"], row["step_key"], repr(row["at"])])
    return hashlib.sha256(before + fields.encode() + b"\n" + row["payload"]).digest()


def record_of(row: dict[str, Any], load: Callable[[bytes], Any]) -> Record:
    """Return a row as it is read back."""
    meta, stored = unpack(row["payload"])
    return Record(
        execution_id=row["execution_id"],
        seq=row["seq"],
        epoch=row["epoch"],
        kind=row["kind"],
        step_key=row["step_key"],
        at=row["at"],
        meta=meta,
        stored=stored,
        digest=bytes(row["digest"]),
        load=load,
    )


_T = schema.journal
_C = _T.c
_READ = select(_T).where(_C.execution_id == bindparam("of"), _C.seq > bindparam("after")).order_by(_C.seq)


def read(connection: Connection, execution_id: str, load: Callable[[bytes], Any], *, after: int = 0) -> list[Record]:
    """Return the records behind seq ``after``, in order: one range read."""
    rows = connection.execute(_READ, {"of": execution_id, "after": after})
    return [record_of(dict(row), load) for row in rows.mappings()]


_READ_KIND = _READ.where(_C.kind == bindparam("kind"))


def read_kind(connection: Connection, execution_id: str, kind: Kind, load: Callable[[bytes], Any]) -> list[Record]:
    """Return the records of one kind, in order."""
    found = connection.execute(_READ_KIND, {"of": execution_id, "after": 0, "kind": kind})
    return [record_of(dict(row), load) for row in found.mappings()]


_HEAD = select(_C.seq, _C.digest).where(_C.execution_id == bindparam("of")).order_by(_C.seq.desc()).limit(1)


def head(connection: Connection, execution_id: str) -> tuple[int, bytes]:
    """Return seq and digest of the last record; (0, GENESIS) if there is none."""
    last = connection.execute(_HEAD, {"of": execution_id}).first()
    return (0, GENESIS) if last is None else (last.seq, bytes(last.digest))


def verify(connection: Connection, execution_id: str, *, epoch: int = 0) -> tuple[int, bytes]:
    """Recompute the chain and return its head.

    ``epoch`` is that of the execution's row: fewer claims on record mean that the end was cut off. Raises
    JournalCorrupt naming the first seq that does not fit.
    """
    rows = _checked(connection, execution_id, epoch)
    return (rows[-1]["seq"], rows[-1]["digest"]) if rows else (0, GENESIS)


def believe(connection: Connection, execution_id: str, load: Callable[[bytes], Any], *, epoch: int) -> list[Record]:
    """Return all records for a claim to go on with, in order. Raises JournalCorrupt as ``verify`` does."""
    return [record_of(row, load) for row in _checked(connection, execution_id, epoch)]


def _checked(connection: Connection, execution_id: str, epoch: int) -> list[dict[str, Any]]:
    rows = [dict(row) for row in connection.execute(_READ, {"of": execution_id, "after": 0}).mappings()]
    digest = GENESIS
    for seq, row in enumerate(rows, 1):
        if row["seq"] != seq:
            msg = f"journal of {execution_id!r}: record {seq} is missing"
            raise JournalCorrupt(msg)
        row["payload"], row["digest"] = bytes(row["payload"]), bytes(row["digest"])
        digest = digest_of(row, digest)
        if digest != row["digest"]:
            msg = f"journal of {execution_id!r}: record {seq} was changed"
            raise JournalCorrupt(msg)
    claims = sum(row["kind"] == "claimed" for row in rows)
    if claims < epoch:
        msg = f"journal of {execution_id!r}: its end is missing, it was claimed {epoch} times and says {claims}"
        raise JournalCorrupt(msg)
    return rows
