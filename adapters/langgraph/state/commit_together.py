"""Convoys: what a task wrote is committed together with the checkpoint that follows, one commit instead of two.

LangGraph hands over a task's writes and, a fraction of a millisecond later, the checkpoint they lead to, and waits for
the checkpoint only. So a write waits a moment for that checkpoint to take it along; if none comes, or if the
checkpoint fails, it is committed alone. Either way the caller returns when the write is durable.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

LINGER = 0.001
"""Seconds that a write waits for a checkpoint."""


@dataclass(slots=True, eq=False)
class _Passenger:
    change: Callable[[Any], object]
    taken: threading.Event = field(default_factory=threading.Event)
    settled: threading.Event = field(default_factory=threading.Event)
    durable: bool = False


class Convoys:
    """Writes that wait, by the line of checkpoints they belong to. Thread-safe."""

    def __init__(self, linger: float = LINGER) -> None:
        self._linger = linger
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, list[_Passenger]] = {}

    def join(self, line: Hashable, change: Callable[[Any], object]) -> bool:
        """True if a checkpoint of this line has committed the change; if False, the caller commits it alone."""
        passenger = _Passenger(change)
        with self._lock:
            self._waiting.setdefault(line, []).append(passenger)
        if not passenger.taken.wait(self._linger):
            with self._lock:
                if not passenger.taken.is_set():
                    self._leave(line, passenger)
                    return False
        passenger.settled.wait()
        return passenger.durable

    @contextmanager
    def leading(self, line: Hashable) -> Iterator[Sequence[Callable[[Any], object]]]:
        """Return the changes that wait in this line. The block commits them; if it raises, they are not committed."""
        with self._lock:
            passengers = self._waiting.pop(line, [])
            for passenger in passengers:
                passenger.taken.set()
        try:
            yield [passenger.change for passenger in passengers]
            for passenger in passengers:
                passenger.durable = True
        finally:
            for passenger in passengers:
                passenger.settled.set()

    def _leave(self, line: Hashable, passenger: _Passenger) -> None:
        passengers = self._waiting[line]
        passengers.remove(passenger)
        if not passengers:
            del self._waiting[line]
