"""What a step costs: sequential, in sixteen executions at once, and replayed."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import select

from durable import Runtime, step
from durable.checkpoint import schema

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 16
"""Executions at once."""


def work(n: int) -> dict[str, bool]:
    """The smallest step: no effect, a small result."""
    return {"ok": n > 0}


def looping(runtime: Runtime, effect: str) -> None:
    """An app that runs as many steps as it is asked for, one after the other."""
    recorded = step.options(effect=effect)  # type: ignore[arg-type]  # one of the four

    @runtime.function(f"loop-{effect}")
    def loop(count: int) -> int:
        return sum(recorded(work, n)["ok"] for n in range(1, count + 1))


def sequential(runtime: Runtime, count: int, effect: str = "idempotent") -> float:
    """Seconds a step of one execution."""
    looping(runtime, effect)
    began = time.perf_counter()
    result = runtime.run(f"loop-{effect}", {"count": count})
    seconds = (time.perf_counter() - began) / count
    assert result.output == count
    return seconds


def concurrent(runtime: Runtime, count: int) -> float:
    """Seconds a step of sixteen executions that run at once in one process."""
    looping(runtime, "idempotent")
    threads = [
        threading.Thread(
            target=runtime.run,
            args=("loop-idempotent", {"count": count}),
            kwargs={"id": f"{runtime.namespace}-wide-{n}"},
        )
        for n in range(WIDTH)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - began) / (count * WIDTH)


def replay(runtime: Runtime, count: int) -> tuple[float, float]:
    """Seconds to drive an execution again whose steps are all recorded, and seconds of one bulk read of its journal."""

    @runtime.function("replayed")
    def replayed(count: int) -> int:
        total = sum(step.options(effect="idempotent")(work, n)["ok"] for n in range(1, count + 1))
        if stop:
            raise RuntimeError
        return total

    stop = True
    runtime.run("replayed", {"count": count}, id="replayed")
    stop = False
    runtime.get("replayed").retry()
    with runtime.database.read() as connection:
        read = timed(lambda: connection.execute(select(schema.journal)).all())
    driven = timed(lambda: runtime.run("replayed", {"count": count}, id="replayed"))
    assert runtime.get("replayed").status == "succeeded"
    return driven, read


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
