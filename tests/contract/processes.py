"""Processes, forked from this warm one: each runs one piece of work and ends, or is ended."""

from __future__ import annotations

import json
import os
import select
import signal
import time
import traceback
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEADLINE = 120.0
"""Seconds."""


class Failed(Exception):
    """The work raised; the text is its traceback."""


class Child:
    """A forked process. ``end`` waits for it: its exit code, and what it said."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._hearing, telling = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads; those here are idle
            self._pid = os.fork()
        if self._pid == 0:
            os.close(self._hearing)
            _work(work, telling)
        os.close(telling)

    def end(self) -> tuple[int, Any]:
        """Return its exit code (negative: the signal that ended it) and what it returned, or its traceback."""
        heard, give_up = b"", time.monotonic() + DEADLINE
        while select.select([self._hearing], [], [], max(0.0, give_up - time.monotonic()))[0]:
            more = os.read(self._hearing, 1 << 16)
            if not more:
                break
            heard += more
        else:
            os.kill(self._pid, signal.SIGKILL)
            heard = json.dumps(["raised", "it did not end in time"]).encode()
        os.close(self._hearing)
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return code, json.loads(heard) if heard else None


def _work(work: Callable[[], Any], telling: int) -> None:
    said = ["raised", "it was torn away"]
    try:
        warnings.simplefilter("ignore")
        said = ["returned", work()]
    except BaseException:
        said = ["raised", traceback.format_exc()[-20_000:]]
    finally:
        os.write(telling, json.dumps(said, default=repr).encode()[:60_000])
        os._exit(0)


def run(work: Callable[[], Any]) -> Any:
    """Run the work in a process of its own and return what it returned. Raises Failed."""
    code, said = Child(work).end()
    if code != 0 or said is None or said[0] == "raised":
        raise Failed(f"exit {code}: {said[1] if said else ''}")
    return said[1]


def killed(work: Callable[[], Any]) -> None:
    """Run work that is to be ended by SIGKILL. Raises Failed if it lived."""
    code, said = Child(work).end()
    if code != -signal.SIGKILL:
        raise Failed(f"it lived, exit {code}: {said}")


def race(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all at once, each in a process of its own; what each came to, ``None`` where it raised."""
    ends = [child.end() for child in [Child(work) for work in works]]
    return [said[1] if code == 0 and said and said[0] == "returned" else None for code, said in ends]
