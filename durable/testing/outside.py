"""Outside: the world that an agent acts on. What arrives is counted by the receiver, not by the code that sends it.

An append-only ledger, one line of JSON each, fsynced before the sender gets its answer. Processes that open the same
path share it. The outside also has a clock, which only moves forward: a wait of an hour is skipped, not slept.

Lines (``what``): ``arrived`` and ``refused`` (effects), ``acknowledged`` (the app was given a step's result),
``decided`` (a person answered; written before the answer is sent), ``model`` (a model was asked), and ``clock``.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Line = dict[str, Any]
"""One line of the ledger."""


class Refused(Exception):
    """The receiver was asked and did nothing; asking again may help."""


class Outside:
    """The outside of one execution. ``point(label)`` is called around each effect: a process may end there."""

    def __init__(self, path: Path, point: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self.point = point

    def effect(self, name: str, arguments: Mapping[str, Any], *, key: str | None = None, refuse_first: int = 0) -> str:
        """Take an effect and return the receiver's answer, the same for the same effect.

        The receiver refuses the first ``refuse_first`` times: nothing happens then, and Refused is raised.
        """
        self.point(f"before {name}")
        refused = len(self.lines("refused", effect=name)) < refuse_first
        kind = "refused" if refused else "arrived"
        self.write(kind, effect=name, key=key, arguments=dict(arguments))
        self.point(f"after {name} was refused" if refused else f"after {name}")
        if refused:
            raise Refused(name)
        return answer(name)

    def acknowledged(self, name: str, value: Any) -> Any:
        """Note that the app has been given the result of this step, and return it."""
        self.write("acknowledged", effect=name, value=value)
        return value

    def happened(self, name: str) -> bool:
        """Return True if an effect has arrived: what an honest person finds when looking."""
        return bool(self.lines("arrived", effect=name))

    def counts(self) -> dict[str, int]:
        """Return how often each effect has arrived."""
        return dict(Counter(line["effect"] for line in self.lines("arrived")))

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self.write("clock", seconds=seconds)

    def clock(self) -> float:
        """Return how many seconds the clock of the outside is ahead."""
        return float(sum(line["seconds"] for line in self.lines("clock")))

    def write(self, kind: str, /, **fields: Any) -> None:
        """Write one line, in one system call, durable when this returns."""
        line = json.dumps({"what": kind, "pid": os.getpid(), **fields}) + "\n"
        ledger = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(ledger, line.encode())
            os.fsync(ledger)
        finally:
            os.close(ledger)

    def lines(self, kind: str | None = None, /, **fields: Any) -> list[Line]:
        """Return the lines of the ledger in order, those that have these fields."""
        if not self.path.exists():
            return []
        expected = {**fields, **({} if kind is None else {"what": kind})}
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [line for line in lines if all(line.get(name) == value for name, value in expected.items())]


def answer(effect: str) -> str:
    """Return what the receiver of an effect answers."""
    return f"{effect} done"
