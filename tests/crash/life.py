"""Lives: processes that push a scenario on. Some are killed at a point; one survives them all and recovers what they left."""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from durable.testing.outside import Outside
from tests.crash.facts import gather
from tests.crash.faults import Crash
from tests.crash.scenario import live

if TYPE_CHECKING:
    from durable import Runtime
    from tests.crash.facts import Facts
    from tests.crash.faults import Moment
    from tests.crash.places import Places

DEADLINE = 60.0
"""Seconds a life may take; one that hangs is killed and counts as stuck."""

Plant = Callable[[], None]
"""Puts a bug into the process it is called in, for negative controls."""

Tell = Callable[..., None]


@dataclass(slots=True)
class Life:
    """What is known of a life: the facts it found and left, at which point it was killed, or why it failed."""

    before: Facts | None = None
    after: Facts | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    points: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    killed: tuple[int, str] | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        self.killed = None if self.killed is None else (self.killed[0], self.killed[1])


@dataclass(frozen=True, slots=True)
class Order:
    """How to live: killed at point ``at`` or not, by what path to take up what is there, with which bug."""

    at: int | Moment | None = None
    only_changes: bool = False
    first: bool = False
    recover_first: bool = False
    plant: Plant | None = None


def lead(places: Places, order: Order) -> Life:
    """Fork a process for one life and wait for its end."""
    return Listener(lambda _, tell: _live(places, order, tell)).hear()


def _live(places: Places, order: Order, tell: Tell) -> None:
    if order.plant is not None:
        order.plant()
    crash = Crash(
        order.at, only_changes=order.only_changes, last_words=lambda number, label: tell(killed=[number, label])
    )
    crash.listen(places.engine)
    world = Outside(places.ledger, crash.point)
    with places.runtime(world) as runtime:
        if not order.first:
            tell(before=gather(runtime))
        crash.begin()
        live(places.scenario, runtime, world, recover_first=order.recover_first)
        crash.end()
        tell(points=crash.count, labels=crash.labels, **_end(runtime))


def _end(runtime: Runtime) -> dict[str, Any]:
    outputs = {execution.id: repr(execution.output) for execution in runtime.executions()}
    return {"outputs": outputs, "after": gather(runtime)}


class Survivor:
    """A process that is never killed: the last life of any number of stories, one after another."""

    def __init__(self, places: Places, plant: Plant | None = None) -> None:
        self._places = places
        self._plant = plant
        self._listener: Listener | None = None

    def lead(self, *, recover_first: bool) -> Life:
        """One more life in this process."""
        if self._listener is None:
            self._listener = Listener(self._work)
        life = self._listener.ask({"recover_first": recover_first})
        if life.error is not None:
            self.end()
        return life

    def end(self) -> None:
        """End the process; the next life starts another."""
        if self._listener is not None:
            self._listener.end()
            self._listener = None

    def _work(self, orders: Any, tell: Tell) -> None:
        if self._plant is not None:
            self._plant()
        places = self._places
        for line in orders:
            world = Outside(places.ledger)
            with places.runtime(world) as runtime:
                tell(before=gather(runtime))
                live(places.scenario, runtime, world, **json.loads(line))
                tell(**_end(runtime))
            tell(end=True)


class Listener:
    """A forked process and the two pipes between: ``work(orders, tell)`` runs there, then it ends without a trace."""

    def __init__(self, work: Callable[[Any, Tell], None]) -> None:
        hearing, telling = os.pipe()
        obeying, ordering = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            gc.disable()  # a life is short, and a collection would copy every page it shares with its parent
            os.close(hearing)
            os.close(ordering)
            _child(work, os.fdopen(obeying), telling)
        os.close(telling)
        os.close(obeying)
        self._hearing, self._ordering = hearing, ordering

    def ask(self, order: dict[str, Any]) -> Life:
        """Give an order and wait for the end of what it led to."""
        try:
            os.write(self._ordering, (json.dumps(order) + "\n").encode())
        except BrokenPipeError:
            return Life(error="the process is gone")
        return Life(**self._read())

    def hear(self) -> Life:
        """Wait for the end of the process."""
        said = self._read()
        status = self.end()
        if status and not said.keys() & {"killed", "error"}:
            said["error"] = f"the process ended with status {status}"
        return Life(**said)

    def end(self) -> int:
        """Close the pipes and wait for the process; its status."""
        os.close(self._hearing)
        os.close(self._ordering)
        return os.waitpid(self.pid, 0)[1]

    def _read(self) -> dict[str, Any]:
        said: dict[str, Any] = {}
        heard, give_up = b"", time.monotonic() + DEADLINE
        while not said.pop("end", False):
            ready, _, _ = select.select([self._hearing], [], [], max(0.0, give_up - time.monotonic()))
            if not ready:
                os.kill(self.pid, signal.SIGKILL)
                return {**said, "killed": None, "error": f"no end within {DEADLINE} s"}
            more = os.read(self._hearing, 1 << 16)
            if not more:
                break
            *lines, heard = (heard + more).split(b"\n")
            for line in lines:
                said |= json.loads(line)
        return said


def _child(work: Callable[[Any, Tell], None], orders: Any, telling: int) -> NoReturn:
    def tell(**said: Any) -> None:
        left = (json.dumps(said) + "\n").encode()
        while left:
            left = left[os.write(telling, left) :]

    status = 0
    try:
        work(orders, tell)
    except BaseException:
        tell(error=traceback.format_exc()[-2000:])
        status = 1
    finally:
        os._exit(status)
