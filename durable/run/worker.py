"""Workers: claim what is runnable, drive it, renew, drain.

Replaceable at any moment: what a worker knows is in the database. One that is killed leaves leases behind, which
expire; on its own machine they count as expired at once.
"""

from __future__ import annotations

import logging
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from durable.checkpoint import claims, stranded
from durable.declare.ids import checked
from durable.errors import ExecutionBusy, ExecutionClosed, JournalCorrupt, StorageError
from durable.live.owner import is_dead
from durable.run.drive import drive
from durable.run.open import load_segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from durable.live.segment import Segment
    from durable.run.process import Process

log = logging.getLogger("durable")


STOP_SEEN = 0.5
"""Seconds within which a worker that is fully busy sees that it is to stop."""


class Worker:
    """Drive up to ``concurrency`` executions of its queues at once, looking for more every ``poll`` seconds."""

    def __init__(self, runtime: Process, *, concurrency: int, queues: Sequence[str], poll: float) -> None:
        self.runtime = runtime
        self.concurrency = max(1, concurrency)
        self.queues = tuple(checked(queue, "the queue") for queue in queues)
        self.poll = poll
        self._stopping = threading.Event()
        self._driven: set[Segment] = set()
        self._free = threading.Semaphore(self.concurrency)
        self._wake = threading.Event()
        self._sweep_at = 0.0

    def run(self) -> None:
        """Work until SIGTERM, SIGINT or ``stop()``; then let running steps finish and give their executions back.

        Raises DependencyFailed, with nothing claimed, if a plain factory of a dependency raises.
        """
        self.runtime.dependencies.make()
        with self._on_signals(), ThreadPoolExecutor(self.concurrency, thread_name_prefix="durable-worker") as pool:
            while not self._stopping.is_set():
                if not self._free.acquire(timeout=min(self.poll, STOP_SEEN)):
                    continue
                self._wake_stranded()
                segment = self._claim_quietly()
                if segment is None:
                    self._free.release()
                    self._wake.wait(self.poll)
                    self._wake.clear()
                else:
                    self._driven.add(segment)
                    pool.submit(self._drive, segment)
            for segment in tuple(self._driven):
                segment.draining = True

    def stop(self) -> None:
        """Claim no more; what runs now is let go after its current steps."""
        self._stopping.set()
        self._wake.set()

    def claim(self) -> Segment | None:
        """Claim the next runnable execution of this worker's queues and apps; None if there is none."""
        runtime = self.runtime
        db = self.runtime.database
        with db.read() as connection:
            dead = tuple(name for name in claims.owners(connection, runtime.namespace) if is_dead(name))
            waiting = claims.runnable(db, connection, runtime.namespace, self.queues, runtime.apps, dead)
        if waiting is None:
            return None

        def claim_next(connection: Any) -> tuple[str, int, tuple[int, bytes]] | None:
            execution_id = claims.runnable(db, connection, runtime.namespace, self.queues, runtime.apps, dead)
            if execution_id is None:
                return None
            owner = runtime.leases.owner
            return execution_id, *claims.claim(db, connection, runtime.namespace, execution_id, owner, dead=dead)

        claimed_at = runtime.clock.monotonic()
        try:
            claimed = db.transact(claim_next)
        except (ExecutionBusy, ExecutionClosed):
            return None
        try:
            return None if claimed is None else load_segment(runtime, *claimed, claimed_at=claimed_at)
        except JournalCorrupt:  # given up: the next one is looked for
            return self.claim()

    def wake_stranded(self) -> None:
        """Wake executions whose rows contradict one another: decided, and suspended without a time."""
        db, namespace = self.runtime.database, self.runtime.namespace
        with db.read() as connection:
            if not stranded.stranded(connection, namespace):
                return
        woken = db.transact(lambda connection: stranded.wake(connection, namespace, now=db.sync_clock(connection)))
        for execution_id in woken:
            log.warning("execution %s waited for an answer that it had; it goes on", execution_id)

    def _wake_stranded(self) -> None:
        now = self.runtime.clock.monotonic()
        if now < self._sweep_at:
            return
        self._sweep_at = now + self.runtime.leases.owner.ttl
        try:
            self.wake_stranded()
        except StorageError as exc:
            log.warning("cannot look for stranded executions: %s", exc)

    def _claim_quietly(self) -> Segment | None:
        try:
            return self.claim()
        except StorageError as exc:
            log.warning("cannot claim: %s", exc)
            return None

    def _drive(self, segment: Segment) -> None:
        try:
            error = drive(self.runtime.app(segment.execution.app), segment)
            if error is not None:
                log.warning("execution %s: %s: %s", segment.execution.id, type(error).__name__, error)
        except StorageError as exc:
            log.warning("execution %s was left to the next worker: %s", segment.execution.id, exc)
        except BaseException:  # a thread of a pool: nobody else would hear of it
            log.exception("execution %s was left to the next worker", segment.execution.id)
        finally:
            self._driven.discard(segment)
            self._free.release()
            self._wake.set()

    @contextmanager
    def _on_signals(self) -> Iterator[None]:
        before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                before[number] = signal.signal(number, lambda *_: self.stop())
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
