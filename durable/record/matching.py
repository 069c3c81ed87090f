"""Matching: which record a numbered call takes, where branches run side by side and may come by in another order.

A call that fits one of its name's records takes it. One that fits none while records are left may be drift, or the
branch to which the record belongs is late: the call waits until that branch has come by, or until none is on its
way any more.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from durable.errors import Suspended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durable.record.replay import Outcome, Replay

GRACE = 0.2
"""Seconds without any other step on its way, after which none is expected."""

LONGEST = 30.0
"""Seconds that a call waits for others at all: they may be waiting for it."""

MOST = 16
"""Calls that wait at the same time: each of them holds a thread."""


@dataclass(frozen=True, slots=True, eq=False)
class _Late:
    prefix: str
    inside: tuple[str, ...]


class Matching:
    """Steps of a segment that are running, and calls that wait until their record is certain. Thread-safe."""

    def __init__(self, replay: Replay, lock: threading.RLock) -> None:
        self.busy = 0
        self.closed = False
        self._replay = replay
        self._changed = threading.Condition(lock)
        self._late: list[_Late] = []

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count this block as a running step until it exits. Raises Suspended if no further step may start."""
        with self._changed:
            if self.closed:
                raise Suspended
            self.busy += 1
        try:
            yield
        finally:
            with self._changed:
                self.busy -= 1
                self._changed.notify_all()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Count the step that runs now as none while the block runs, whose end nobody can know: a reader holds a chunk.

        Raises Suspended after the block if no step may go on any more.
        """
        self._count(-1)
        try:
            yield
        finally:
            self._count(1)
        if self.closed:
            raise Suspended

    def _count(self, change: int) -> None:
        with self._changed:
            self.busy += change
            self._changed.notify_all()

    def quiet(self) -> None:
        """Wait until no step is on its way."""
        with self._changed:
            self._changed.wait_for(lambda: self.busy == 0)

    def drain(self, timeout: float | None = None) -> bool:
        """Wait (seconds) until no step is on its way; no further step starts. False if some still are."""
        with self._changed:
            self.closed = True
            return self._changed.wait_for(lambda: self.busy == 0, timeout)

    def match(self, prefix: str, arguments_hash: str) -> Outcome | None:
        """Return the outcome for this call if it is certain now: a record that fits, or a new one if none is left."""
        with self._changed:
            outcome = self._certain(prefix, arguments_hash, is_next=not self._first_late(prefix))
            if outcome is not None:
                self._changed.notify_all()
            return outcome

    def match_after_branches(self, prefix: str, arguments_hash: str, inside: tuple[str, ...]) -> tuple[Outcome, bool]:
        """Wait until the matching record is certain. Returns (outcome, False) when nothing matches: drift.

        ``inside`` are the keys of the steps in whose bodies the call is made. Raises Suspended if the segment ends
        meanwhile.
        """
        me, since, give_up = _Late(prefix, inside), time.monotonic(), time.monotonic() + LONGEST
        patient = not _in_event_loop()
        with self._changed:
            self._late.append(me)
            try:
                while not self.closed:
                    is_first = self._first_late(prefix) is me
                    outcome = self._certain(prefix, arguments_hash, is_next=is_first)
                    if outcome is not None:
                        return outcome, True
                    now = time.monotonic()
                    since = since if self._nobody_else() else now
                    tired = now > give_up or len(self._late) > MOST or not patient
                    is_due = tired or (is_first and now - since >= GRACE)
                    unmatched = self._replay.left(prefix)
                    if unmatched is not None and is_due:
                        return unmatched, False
                    self._changed.wait(GRACE / 4)
                raise Suspended
            finally:
                self._late.remove(me)
                self._changed.notify_all()

    def _certain(self, prefix: str, arguments_hash: str, *, is_next: bool) -> Outcome | None:
        """Take the record that fits; a new one if no record is left and this call is the next of its name."""
        outcome = self._replay.fitting(prefix, arguments_hash)
        if outcome is None and is_next and self._replay.left(prefix) is None:
            outcome = self._replay.new(prefix)
        if outcome is not None:
            outcome.taken = True
        return outcome

    def _first_late(self, prefix: str) -> _Late | None:
        return next((late for late in self._late if late.prefix == prefix), None)

    def _nobody_else(self) -> bool:
        around = {key for late in self._late for key in late.inside}
        return self.busy <= len(self._late) + len(around)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
