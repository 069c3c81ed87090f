"""Group commit: appends that wait at the same time share one transaction.

The caller that finds the writer free commits for all that wait; the others find their entry settled when it lets
go. A single caller pays no extra thread hop. Where one entry spoils the shared transaction, each is tried alone, so a
caller only ever sees its own error.

A commit whose answer is lost is asked after: the same rows are looked for by key and digest, and inserted again
only if they are not there.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from durable.checkpoint import schema
from durable.checkpoint.errors import DatabaseBusy, DatabaseUnavailable, LeaseLost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from durable.checkpoint.database import Database
    from durable.checkpoint.journal import Journal
    from durable.checkpoint.records import NewRecord

_INSERT = insert(schema.journal)


@dataclass(slots=True, eq=False)
class Entry:
    """Records of one journal that must be durable before ``submit`` returns, and what commits with them."""

    journal: Journal
    records: Sequence[NewRecord] | Callable[[Connection], Sequence[NewRecord]]
    companions: Sequence[Callable[[Connection], object]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    settled: bool = False
    error: BaseException | None = None


class Writer:
    """The one writer of a process for one database. Thread-safe."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[Entry] = []
        self._queue = threading.Lock()
        self._leader = threading.Lock()

    def submit(self, entry: Entry) -> None:
        """Return when the entry is durable; raise what kept it from becoming so, with nothing of it written."""
        with self._queue:
            self._waiting.append(entry)
        with self._leader:
            if not entry.settled:
                with self._queue:
                    group, self._waiting = self._waiting, []
                self._commit(group)
        if entry.error is not None:
            raise entry.error

    def submit_alone(self, entry: Entry) -> None:
        """As ``submit``, in a transaction shared with nobody: for records that are made inside of it."""
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
                    self._settle(entry)
        else:
            self._commit_alone(group[0], maybe_committed=False)

    def _commit_alone(self, entry: Entry, *, maybe_committed: bool) -> None:
        give_up = time.monotonic() + self._db.timeout
        while True:
            try:
                if maybe_committed and self._found(entry):
                    return self._settle(entry)
                self._transaction([entry])
                return self._settle(entry)
            except IntegrityError as exc:
                if not self._taken(entry):
                    return self._settle(entry, exc)
                entry.journal.lost = True
                return self._settle(entry, LeaseLost(entry.journal.execution_id, entry.journal.epoch))
            except DatabaseUnavailable as exc:
                maybe_committed = bool(entry.rows)
                if time.monotonic() > give_up:
                    # whether the rows are there is unknown: nothing more may be built on this head
                    entry.journal.lost = True
                    return self._settle(entry, exc)
                time.sleep(0.05)
            except DatabaseBusy as exc:
                maybe_committed = False
                if time.monotonic() > give_up:
                    return self._settle(entry, exc)
                time.sleep(0.005)
            except Exception as exc:  # noqa: BLE001 - the caller gets it
                return self._settle(entry, exc)

    def _transaction(self, group: list[Entry]) -> None:
        for entry in group:
            if entry.journal.lost:
                raise LeaseLost(entry.journal.execution_id, entry.journal.epoch)
        with self._db.write() as connection:
            rows = self._rows(group, connection)
            if rows:
                connection.execute(_INSERT, rows if len(rows) > 1 else rows[0])
            for entry in group:
                for companion in entry.companions:
                    companion(connection)

    def _rows(self, group: list[Entry], connection: Connection) -> list[dict[str, Any]]:
        heads: dict[Journal, tuple[int, bytes]] = {}
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

    def _settle(self, entry: Entry, error: BaseException | None = None) -> None:
        if error is None and entry.rows:
            entry.journal.head = (entry.rows[-1]["seq"], entry.rows[-1]["digest"])
        entry.error = error
        entry.settled = True

    def _found(self, entry: Entry) -> bool:
        return bool(entry.rows) and self._digest_at(entry) == entry.rows[0]["digest"]

    def _taken(self, entry: Entry) -> bool:
        return bool(entry.rows) and self._digest_at(entry) is not None

    def _digest_at(self, entry: Entry) -> bytes | None:
        table, first = schema.journal.c, entry.rows[0]
        with self._db.read() as connection:
            found = connection.execute(
                select(table.digest).where(table.execution_id == first["execution_id"], table.seq == first["seq"])
            ).scalar()
        return None if found is None else bytes(found)
