"""The receiving side of an order: what arrived there is counted there, whatever the sender believes.

One line of JSON each, fsynced before the sender gets its answer. ``Outside(path, dies="after pay")`` ends its process by SIGKILL
at that moment, as a machine that loses power would.
"""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

DEADS = ("before reserve", "after reserve", "before pay", "after pay")
"""The moments at which a process is killed."""


class Outside:
    """The outside of one order. ``slow`` is how many seconds an effect takes to be answered."""

    def __init__(self, path: Path, *, dies: str = "", slow: float = 0.0) -> None:
        self.path, self._dies, self._slow = path, dies, slow

    def draw(self) -> int:
        """A number that nobody can know before, another one each time: what a model would say."""
        number = 1 + sum(what == "draw" for what, _, _ in self.lines())
        self._write("draw", number, "")
        return number

    def effect(self, what: str, number: int, key: str = "") -> str:
        """An effect arrives; the answer is the receiver's."""
        self._die(f"before {what}")
        self._write(what, number, key)
        time.sleep(self._slow)
        self._die(f"after {what}")
        return answer(what, number)

    def happened(self, what: str, number: int) -> bool:
        """What an honest person finds when looking."""
        return any((what, number) == line[:2] for line in self.lines())

    def lines(self) -> list[tuple[str, int, str]]:
        """What arrived, in order: what, its number, and the key that came with it."""
        if not self.path.exists():
            return []
        return [tuple(json.loads(line)) for line in self.path.read_text().splitlines()]

    def arrived(self) -> list[str]:
        """What arrived, in short."""
        return [f"{what} {number}" for what, number, _ in self.lines()]

    def _write(self, what: str, number: int, key: str) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, (json.dumps([what, number, key]) + "\n").encode())
        os.fsync(file)
        os.close(file)

    def _die(self, moment: str) -> None:
        if moment == self._dies:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)


def answer(what: str, number: int) -> str:
    """What the receiver answers to an effect."""
    return f"{'paid' if what == 'pay' else 'reserved'} {number}"
