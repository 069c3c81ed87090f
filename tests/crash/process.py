"""A worker process of its own, in a fresh interpreter: ``python -m tests.crash.process URL LEDGER SCENARIO LEASE``.

It works until SIGTERM. ``Process`` starts one and sends it signals.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from durable import Runtime, current, tool
from durable.live.scope import segment
from durable.testing.outside import Outside
from tests.crash.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
MAX_ATTEMPTS = 2
TICKS = 30
POISON = 3
"""The exit status of a process that has run the poisonous step."""


class Ticking(Scenario):
    """Many once effects in a row."""

    name = "ticking"
    effects: ClassVar = {f"tick{number}": "once" for number in range(TICKS)}
    expected = {"ticking": ("succeeded", [f"tick{number} done" for number in range(TICKS)])}

    def build(self, runtime: Runtime, world: Outside) -> None:
        def ticking(name: str) -> Callable[[], str]:
            def tick() -> str:
                return world.effect(name, {}, key=current().idempotency_key)

            tick.__name__ = name
            return tool(tick)

        ticks = [ticking(name) for name in self.effects]

        @runtime.function(self.app)
        def app() -> list[str]:
            return [world.acknowledged(name, tick()) for name, tick in zip(self.effects, ticks, strict=True)]


class Poisoned(Scenario):
    """An execution that ends each process that runs it, and a harmless one behind it."""

    name = "poisoned"
    effects: ClassVar = {"swallow": "read", "harmless": "once"}
    expected = {"poison": ("dead", None), "neighbour": ("succeeded", "harmless done")}
    runtime_options: ClassVar = {"max_attempts": MAX_ATTEMPTS}

    def build(self, runtime: Runtime, world: Outside) -> None:
        @tool(effect="read")
        def swallow() -> None:
            world.effect("swallow", {})
            os._exit(POISON)

        @tool
        def harmless() -> str:
            return world.effect("harmless", {}, key=current().idempotency_key)

        @runtime.function("poison")
        def poison() -> None:
            swallow()

        @runtime.function(self.app)
        def app() -> str:
            return str(world.acknowledged("harmless", harmless()))


class Gated(Scenario):
    """A first step that waits inside for a gate to be opened, the n-th arrival for the n-th gate; then a second step."""

    name = "gated"
    effects: ClassVar = {"first": "idempotent", "second": "once"}
    expected = {"gated": ("succeeded", "second done")}

    def build(self, runtime: Runtime, world: Outside) -> None:
        @tool(effect="idempotent")
        def first() -> str:
            answered = world.effect("first", {}, key=current().idempotency_key)
            wait_at_gate(world)
            return answered

        @tool
        def second() -> str:
            return world.effect("second", {}, key=current().idempotency_key)

        @runtime.function(self.app)
        def app() -> str:
            world.acknowledged("first", first())
            return str(world.acknowledged("second", second()))


SCENARIOS = {scenario.name: scenario for scenario in (Ticking, Poisoned, Gated)}


def gate(ledger: Path, number: int) -> Path:
    """The gate that the n-th arrival (from 1) waits for; it is open once the file is there."""
    return ledger.with_name(f"gate-{number}")


def wait_at_gate(world: Outside) -> None:
    """Wait for this arrival's gate, and say so once this worker is told to stop."""
    mine, told = gate(world.path, len(world.lines("arrived", effect="first"))), False
    here = segment()
    while not mine.exists():
        if here is not None and here.draining and not told:
            world.write("draining")
            told = True
        time.sleep(0.005)


def until(condition: Callable[[], Any], what: str, *, seconds: float = 60.0) -> Any:
    """The first true value of the condition. Raises TimeoutError after ``seconds``."""
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"waited {seconds} s until {what}")
        time.sleep(0.02)
    return found


class Process:
    """A worker process. A context manager; at its end it is killed if it still runs."""

    def __init__(self, url: str, ledger: Path, scenario: type[Scenario], *, lease: float = 30.0) -> None:
        command = [sys.executable, "-m", "tests.crash.process", url, str(ledger), scenario.name, str(lease)]
        self._process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for its end: the exit status, and what it logged."""
        _, said = self._process.communicate(timeout=60)
        return self._process.returncode, said


def main(url: str, ledger: str, scenario: str, lease: str) -> None:
    """Work until SIGTERM."""
    found = SCENARIOS[scenario]()
    with Runtime(url, lease=float(lease), **found.runtime_options) as runtime:
        found.build(runtime, Outside(Path(ledger)))
        runtime.worker(concurrency=1, poll=0.05).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
