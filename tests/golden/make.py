"""Write the golden files of the version that is installed: ``python -m tests.golden.make tests/golden/0.1``.

Never again for a version that has been released; see README.md.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from durable import DurableError
from tests.golden.core_app import LARGE
from tests.golden.outside import Outside
from tests.golden.rows import dump
from tests.golden.states import APPS, ID, answer, approve, confirm, send

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

    from durable import Runtime

    Act = Callable[[Runtime], object]


def goes_on(runtime: Runtime) -> None:
    """Drive what is left to run."""
    runtime.recover()


def cancel(runtime: Runtime) -> None:
    """Cancel it, and leave what it has done."""
    runtime.get(ID).cancel("no longer wanted", compensate=False)


def undo(runtime: Runtime) -> None:
    """Cancel it, and undo what it has done."""
    runtime.get(ID).cancel("no longer wanted", compensate=True)


ANSWERED: tuple[Act, ...] = (answer, goes_on)
SIGNALLED = (*ANSWERED, send, goes_on)
APPROVED = (*ANSWERED, approve, goes_on)
AGENT: dict[str, Sequence[Act]] = {
    "asked": (),
    "waiting": ANSWERED,
    "decided": (*ANSWERED, approve),
    "native_waiting": APPROVED,
    "native_decided": (*APPROVED, confirm),
    "failed": (*APPROVED, confirm, goes_on),
    "succeeded": (*APPROVED, confirm, goes_on),
}
STORIES: dict[str, dict[str, Sequence[Act]]] = {
    "core": {
        "asked": (),
        "signal_waiting": ANSWERED,
        "waiting": SIGNALLED,
        "decided": (*SIGNALLED, approve),
        "failed": (*SIGNALLED, approve, goes_on),
        "succeeded": (*SIGNALLED, approve, goes_on),
        "cancelled": (*SIGNALLED, cancel),
        "compensated": (*SIGNALLED, undo),
        "retry_waiting": (),
        "in_doubt": (*SIGNALLED, approve),
    },
    "langgraph": AGENT,
    "openai": AGENT,
    "adk": AGENT,
}
"""After its start, what brings each execution to its state."""

STATUS = {
    "decided": "pending",
    "native_decided": "pending",
    "failed": "failed",
    "succeeded": "succeeded",
    "cancelled": "cancelled",
    "compensated": "cancelled",
    "in_doubt": "running",
}
"""The status of an execution in this state; of all others, suspended."""

OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("core", "retry_waiting"): {"later": True},
    ("core", "succeeded"): {"size": LARGE},
}


def dies(app: str, url: str, told: Connection) -> None:
    """Go on until SIGKILL ends this process, inside of the effect ``deliver``."""
    with mock.patch("platform.node", return_value="golden"):
        runtime, _ = APPS[app].opened(url, Outside(dies_in="deliver", tell=told.send))
        runtime.recover()


def killed(app: str, url: str) -> list[tuple[str, str, bool]]:
    """Return what a process that was killed has done outside."""
    spawning = multiprocessing.get_context("spawn")
    hearing, telling = spawning.Pipe(duplex=False)
    process = spawning.Process(target=dies, args=(app, url, telling))
    process.start()
    telling.close()
    calls = []
    with suppress(EOFError):
        while True:
            calls.append(hearing.recv())
    process.join()
    assert process.exitcode == -9, process.exitcode
    return calls


def make(app: str, state: str, folder: Path) -> None:
    """Write the file of one execution."""
    options = OPTIONS.get((app, state), {})
    outside = Outside(refusing=["reserve", *(["deliver"] if state == "failed" else [])])
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/golden.db"
        runtime, start = APPS[app].opened(url, outside)
        with runtime:
            with suppress(DurableError):
                start(**options)
            for act in STORIES[app][state]:
                act(runtime)
            calls = [*outside.calls, *(killed(app, url) if state == "in_doubt" else ())]
            status = runtime.get(ID).status
            assert status == STATUS.get(state, "suspended"), (app, state, status, runtime.get(ID).execution().error)
        about = {
            "version": version("durable-adapters"),
            "app": app,
            "state": state,
            "options": options,
            "calls": calls,
            "asked": outside.asked,
        }
        dump(url, folder / f"{app}_{state}.jsonl", about)


def main() -> None:
    """Write all files; owners are named by the machine, which is golden here."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with mock.patch("platform.node", return_value="golden"):
        for app, states in STORIES.items():
            for state in states:
                make(app, state, folder)


if __name__ == "__main__":
    main()
