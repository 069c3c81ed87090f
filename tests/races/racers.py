"""Processes that do the same thing at the same instant: forked from the test, let go by a barrier, bounded by a deadline.

A work is ``work(runtime, meet)``: it has a runtime of its own, made in its process, and ``meet()`` returns when all have
come to it. What it returns or raises is heard by the test. Whoever lives past the deadline, or past the test, is
killed by its pid. A test closes its own runtimes before it forks: a connection belongs to one process.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from durable import Runtime, tool
from durable.errors import ToolRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Work = Callable[[Runtime, Callable[[], object]], Any]

FORK = multiprocessing.get_context("fork")
DEADLINE = 80.0
"""Seconds from the start to the last word."""


@dataclass(frozen=True)
class Ended:
    """What a racer came to: the value it returned, or the name and text of what it raised."""

    number: int
    value: Any = None
    error: str | None = None
    said: str = ""


class Racers:
    """The processes of one race, to be heard in the order in which they end."""

    def __init__(self, url: str, works: tuple[Work, ...], options: dict[str, Any]) -> None:
        self._give_up = time.monotonic() + DEADLINE
        self._ears: dict[Any, Any] = {}
        meeting = FORK.Barrier(len(works), timeout=DEADLINE)
        for number, work in enumerate(works):
            ear, mouth = FORK.Pipe(duplex=False)
            process = FORK.Process(target=_live, args=(number, work, url, options, meeting, mouth))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads; a test's are idle
                process.start()
            mouth.close()
            self._ears[ear] = process

    @property
    def pids(self) -> list[int]:
        """The processes that were not heard yet."""
        return [process.pid for process in self._ears.values()]

    def hear(self) -> Ended:
        """The next one that ends. Fails past the deadline, and for one that died without a word."""
        ready = wait(list(self._ears), timeout=max(0.0, self._give_up - time.monotonic()))
        assert ready, f"{len(self._ears)} racers did not end within {DEADLINE} s"
        process = self._ears.pop(ready[0])
        try:
            return ready[0].recv()
        except EOFError:
            process.join(1)
            raise AssertionError(f"a racer died without a word, exit code {process.exitcode}") from None
        finally:
            ready[0].close()
            process.join(max(0.1, self._give_up - time.monotonic()))
            _end(process)

    def end(self) -> None:
        """Kill whoever is left."""
        while self._ears:
            ear, process = self._ears.popitem()
            ear.close()
            _end(process)


def _end(process: Any) -> None:
    if process.is_alive():
        process.kill()
    process.join()
    process.close()


def _live(number: int, work: Work, url: str, options: dict[str, Any], meeting: Any, mouth: Any) -> None:
    try:
        with Runtime(url, **options) as runtime:
            ended = Ended(number, work(runtime, meeting.wait))
    except BaseException as exc:
        ended = Ended(number, error=type(exc).__name__, said=str(exc))
        if "BrokenBarrierError" not in ended.error and meeting.n_waiting:
            meeting.abort()
    mouth.send(ended)
    mouth.close()
    os._exit(0)  # nothing of the test's own process is to be cleaned up here


@contextmanager
def racing(url: str, *works: Work, **options: Any) -> Iterator[Racers]:
    """Start them; ``hear()`` each. ``options`` are those of their runtimes."""
    racers = Racers(url, works, options)
    try:
        yield racers
    finally:
        racers.end()


def race(url: str, *works: Work, **options: Any) -> list[Ended]:
    """What each came to, in the order of the works."""
    with racing(url, *works, **options) as racers:
        return sorted((racers.hear() for _ in works), key=lambda ended: ended.number)


class Ledger:
    """The world outside: one line an effect, durable before its sender goes on, shared by all processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def did(self, what: str) -> str:
        ledger = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(ledger, f"{what}\n".encode())
            os.fsync(ledger)
        finally:
            os.close(ledger)
        return what

    def lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []


def paying(runtime, ledger, **policy):
    """A durable function with one effect."""

    @tool(effect="once", **policy)
    def pay(amount):
        return ledger.did(f"pay {amount}")

    @runtime.function("app")
    def app(amount):
        try:
            return pay(amount)
        except ToolRejected as no:
            return f"not paid: {no.reason}"

    return runtime
