"""Leases: the right to go on, renewed for all segments of this process in one statement.

A lease is a hint for others, the journal's primary key is the guarantee. A process that could not renew for two
thirds of the time starts no further effect until it has asked the database again.
"""

from __future__ import annotations

import logging
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from durable.checkpoint import claims
from durable.checkpoint.forked import renew_after_fork
from durable.errors import LeaseLost, StorageError
from durable.live.owner import owner_name

if TYPE_CHECKING:
    from durable.checkpoint.claims import Owner
    from durable.checkpoint.database import Database
    from durable.checkpoint.journal.journal import Journal
    from durable.checkpoint.records import Execution
    from durable.live.clock import Clock

log = logging.getLogger("durable")


class Held(Protocol):
    """Claimed execution, as far as its lease is concerned."""

    execution: Execution
    journal: Journal
    renewed_at: float
    cancel_reason: str | None


_ALL: weakref.WeakSet[Leases] = weakref.WeakSet()


def driven_here() -> list[Any]:
    """Return the segments that this process drives now, of all its runtimes."""
    return [segment for leases in tuple(_ALL) for segment in leases.held()]


class Leases:
    """Renew what this runtime owns, every third of the ttl, on one daemon thread that ends when nothing is owned."""

    def __init__(self, database: Database, clock: Clock, owner: Owner) -> None:
        self.owner = owner
        self._database = database
        self._clock = clock
        self._segments: dict[str, Held] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._renewing = threading.Lock()
        _ALL.add(self)
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Own nothing, under a name of this process."""
        self.owner = replace(self.owner, name=owner_name())
        self._segments = {}
        self._changed = threading.Condition()
        self._thread = None
        self._renewing = threading.Lock()

    def hold(self, segment: Held) -> None:
        """Renew this segment's lease from now on."""
        with self._changed:
            self._segments[segment.execution.id] = segment
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="durable-leases", daemon=True)
                self._thread.start()

    def let_go(self, segment: Held) -> None:
        """Renew it no more."""
        with self._changed:
            if self._segments.get(segment.execution.id) is segment:
                del self._segments[segment.execution.id]
            self._changed.notify_all()

    def held(self) -> list[Any]:
        """Return the segments this process drives now."""
        with self._changed:
            return list(self._segments.values())

    def cancel(self, execution_id: str, reason: str) -> None:
        """Tell the segment that drives this execution here, if there is one, to start no further step."""
        with self._changed:
            segment = self._segments.get(execution_id)
            if segment is not None and segment.cancel_reason is None:
                segment.cancel_reason = reason

    def confirm(self, segment: Held) -> None:
        """Return if the lease surely holds. Raises LeaseLost, or StorageError if the database cannot be asked."""
        age = self._clock.monotonic() - segment.renewed_at
        if age > self.owner.ttl * 2 / 3:
            self.renew()
        if segment.journal.lost:
            raise LeaseLost(segment.execution.id, segment.journal.epoch)

    def renew(self) -> None:
        """Renew all leases; segments whose lease is gone learn it here, those to be cancelled as well."""
        with self._renewing:
            segments = {segment.execution.id: segment for segment in self.held()}
            if not segments:
                return
            asked_at = self._clock.monotonic()
            epochs = {key: segment.journal.epoch for key, segment in segments.items()}
            db = self._database
            renewed = db.transact(lambda connection: claims.renew(db, connection, self.owner, epochs))
            for key, segment in segments.items():
                if key in renewed:
                    segment.renewed_at = asked_at
                    segment.cancel_reason = segment.cancel_reason or renewed[key]
                elif segment in self.held():
                    segment.journal.lost = True

    def _loop(self) -> None:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: not self._segments, self.owner.ttl / 3):
                    self._thread = None
                    return
            try:
                self.renew()
            except StorageError as exc:
                log.warning("leases were not renewed: %s", exc)
            except Exception:  # whatever it is, the next time is in a third of the ttl
                log.exception("leases were not renewed")
