"""Commit in groups: appends that wait at the same time share one transaction.

The caller that finds the writer free commits for all that wait; the others find their entry finished when it lets go. A
single caller pays no extra thread hop. Where one entry spoils the shared transaction, each is tried alone, so a caller
only ever sees its own error.

If the answer to a commit is lost, the rows are looked for by key and digest, and inserted again only if they are not
there.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from durable.checkpoint import schema
from durable.checkpoint.errors import DatabaseBusy, DatabaseUnavailable, LeaseLost, StorageError
from durable.checkpoint.forked import renew_after_fork
from durable.checkpoint.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from durable.checkpoint.database import Database
    from durable.checkpoint.records import NewRecord

_INSERT = Prepared(lambda _: insert(schema.journal))


class Owned(Protocol):
    """Journal in the hands of its owner, as the writer moves it."""

    execution_id: str
    epoch: int
    head: tuple[int, bytes]
    lost: bool

    def rows_after(self, head: tuple[int, bytes], records: Iterable[NewRecord]) -> list[dict[str, Any]]:
        """Return the rows that put ``records`` behind ``head``."""


@dataclass(slots=True, eq=False)
class Entry:
    """Records of one journal that must be durable before ``submit`` returns, and what commits with them."""

    journal: Owned
    records: Sequence[NewRecord] | Callable[[Connection], Sequence[NewRecord]]
    companions: Sequence[Callable[[Connection], object]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False
    error: BaseException | None = None


class Writer:
    """Only writer of a process for one database. Thread-safe.

    ``committed`` is called with the seconds of each commit.
    """

    def __init__(self, db: Database, *, committed: Callable[[float], object] = lambda _: None) -> None:
        self._db = db
        self._committed = committed
        self._waiting: list[Entry] = []
        self._queue = threading.Lock()
        self._leader = threading.Lock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Let nothing wait that a thread of the parent was to commit."""
        self._waiting = []
        self._queue = threading.Lock()
        self._leader = threading.Lock()

    def submit(self, entry: Entry) -> None:
        """Return when the entry is durable; raise what kept it from becoming so, with nothing of it written."""
        with self._queue:
            self._waiting.append(entry)
        with self._leader:
            if not entry.finished:
                self._commit(self._group_of(entry))
        if entry.error is not None:
            raise entry.error

    def _group_of(self, entry: Entry) -> list[Entry]:
        with self._queue:
            group = self._waiting
            self._waiting = []
        # it is not among them if a leader took it and was torn away (KeyboardInterrupt) before it was finished
        return group if entry in group else [entry, *group]

    def submit_alone(self, entry: Entry) -> None:
        """Commit like ``submit``, in a transaction shared with nobody: for records that are made inside of it."""
        with self._leader:
            self._commit_alone(entry, maybe_committed=False)
        if entry.error is not None:
            raise entry.error

    def _commit(self, group: list[Entry]) -> None:
        if len(group) > 1:
            try:
                self._transaction(group)
            except Exception:  # noqa: BLE001 - whatever it was, each entry meets its own part of it alone
                for entry in group:
                    self._commit_alone(entry, maybe_committed=bool(entry.rows))
            else:
                for entry in group:
                    self._finish(entry)
        else:
            self._commit_alone(group[0], maybe_committed=False)

    def _commit_alone(self, entry: Entry, *, maybe_committed: bool) -> None:
        give_up = time.monotonic() + self._db.timeout
        error: StorageError
        while True:
            try:
                return self._finish(entry, self._commit_once(entry, maybe_committed=maybe_committed))
            except DatabaseUnavailable as exc:
                if not maybe_committed:  # the answer that did not come may have taken all of the time
                    give_up = time.monotonic() + self._db.timeout
                maybe_committed = True
                error = exc
                pause = 0.05
            except DatabaseBusy as exc:
                error = exc
                pause = 0.005
            except Exception as exc:  # noqa: BLE001 - the caller gets it
                return self._finish(entry, exc)
            if time.monotonic() > give_up:
                # where it is unknown whether the rows are there, nothing more may be built on this head
                entry.journal.lost = entry.journal.lost or maybe_committed
                return self._finish(entry, error)
            time.sleep(pause)

    def _commit_once(self, entry: Entry, *, maybe_committed: bool) -> Exception | None:
        """Commit once. Returns what is wrong with the entry itself, or None if it is durable.

        Raises errors after which another try may succeed.
        """
        if maybe_committed and entry.rows and self._digest_at(entry) == entry.rows[0]["digest"]:
            return None
        try:
            self._transaction([entry])
        except IntegrityError as exc:
            digest = self._digest_at(entry) if entry.rows else None
            if digest is None:
                return exc
            if digest == entry.rows[0]["digest"]:  # an earlier attempt was still on its way when it was asked after
                return None
            entry.journal.lost = True
            return LeaseLost(entry.journal.execution_id, entry.journal.epoch)
        return None

    def _transaction(self, group: list[Entry]) -> None:
        for entry in group:
            if entry.journal.lost:
                raise LeaseLost(entry.journal.execution_id, entry.journal.epoch)
        began = time.perf_counter()
        with self._db.write_again() as connection:
            rows = self._rows(group, connection)
            _INSERT.run(connection, rows)
            for entry in group:
                for companion in entry.companions:
                    companion(connection)
        self._committed(time.perf_counter() - began)

    def _rows(self, group: list[Entry], connection: Connection) -> list[dict[str, Any]]:
        heads: dict[Owned, tuple[int, bytes]] = {}
        rows: list[dict[str, Any]] = []
        for entry in group:
            head = heads.get(entry.journal, entry.journal.head)
            if callable(entry.records):
                entry.rows = []
                entry.rows = entry.journal.rows_after(head, entry.records(connection))
            elif not entry.rows or entry.rows[0]["seq"] != head[0] + 1:
                entry.rows = entry.journal.rows_after(head, entry.records)
            if entry.rows:
                heads[entry.journal] = (entry.rows[-1]["seq"], entry.rows[-1]["digest"])
                rows.extend(entry.rows)
        return rows

    def _finish(self, entry: Entry, error: BaseException | None = None) -> None:
        if error is None and entry.rows:
            entry.journal.head = (entry.rows[-1]["seq"], entry.rows[-1]["digest"])
        entry.error = error
        entry.finished = True

    def _digest_at(self, entry: Entry) -> bytes | None:
        table = schema.journal.c
        first = entry.rows[0]
        with self._db.read() as connection:
            digest = connection.execute(
                select(table.digest).where(table.execution_id == first["execution_id"], table.seq == first["seq"])
            ).scalar()
        return None if digest is None else bytes(digest)
