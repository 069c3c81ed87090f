"""``python -m benchmarks`` prints the figures beside the raw driver's; ``--steps N`` for longer runs.

The raw figures and ours alternate in one run on the same medium, so that a noisy machine disturbs both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks import raw, steps
from durable import Runtime
from tests.postgres import fresh_database, running_server

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5


def compare(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float, float]:
    """Medians of both in microseconds, and the median of their ratios pair by pair."""
    pairs = [(theirs(), ours()) for _ in range(ROUNDS)]
    bare, full = (statistics.median(column) * 1e6 for column in zip(*pairs, strict=True))
    return bare, full, statistics.median(mine / other for other, mine in pairs)


def on_sqlite(folder: str, count: int) -> list[tuple[str, float, float, float]]:
    """The rows of the table for a SQLite file in this folder."""
    found = []
    with tempfile.TemporaryDirectory(dir=folder) as work:
        place = Path(work)
        commit, close = raw.sqlite(place / "raw.db")
        serial = iter(range(10_000))

        def fresh() -> Runtime:
            return Runtime(f"sqlite:///{place / f'{next(serial)}.db'}")

        def bare(group: int) -> float:
            commit_it, close_it = raw.sqlite(place / f"raw{next(serial)}.db")
            try:
                return raw.seconds_a_row(commit_it, count, group)
            finally:
                close_it()

        close()
        del commit
        found += _rows(f"SQLite FULL, {folder}", fresh, bare, count)
    return found


def on_postgresql(server: str, count: int) -> list[tuple[str, float, float, float]]:
    """The rows of the table for PostgreSQL."""
    with fresh_database(server) as url:

        def bare(group: int) -> float:
            commit, close = raw.postgresql(url)
            try:
                return raw.seconds_a_row(commit, count, group)
            finally:
                close()

        serial = iter(range(10_000))
        return _rows("PostgreSQL", lambda: Runtime(url, namespace=f"n{next(serial)}"), bare, count)


def _rows(
    where: str, fresh: Callable[[], Runtime], bare: Callable[[int], float], count: int
) -> list[tuple[str, float, float, float]]:
    def with_runtime(measure: Callable[[Runtime], float]) -> Callable[[], float]:
        def run() -> float:
            with fresh() as runtime:
                return measure(runtime)

        return run

    one = with_runtime(lambda runtime: steps.sequential(runtime, count))
    once = with_runtime(lambda runtime: steps.sequential(runtime, count, "once"))
    wide = with_runtime(lambda runtime: steps.concurrent(runtime, max(10, count // steps.WIDTH)))
    return [
        (f"{where}: sequential step", *compare(one, lambda: bare(1))),
        (f"{where}: sequential `once` step (two commits)", *compare(once, lambda: bare(1))),
        (f"{where}: step of 16 executions at once", *compare(wide, lambda: bare(steps.WIDTH))),
    ]


def replayed(count: int) -> list[tuple[str, float, float]]:
    """Milliseconds to replay and to read, for SQLite."""
    with tempfile.TemporaryDirectory() as folder, Runtime(f"sqlite:///{folder}/replay.db") as runtime:
        driven, read = steps.replay(runtime, count)
    return [(f"replay of {count} steps", driven * 1e3, read * 1e3)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--steps", type=int, default=300, help="steps of a run")
    count = parser.parse_args().steps
    table = Table(
        "figure", "raw driver (µs)", "durable (µs)", "ratio", title="a step, beside one row by the raw driver"
    )
    found = on_sqlite(tempfile.gettempdir(), count)
    if Path("/dev/shm").is_dir():
        found += on_sqlite("/dev/shm", count)
    with running_server() as server:
        found += on_postgresql(server, count)
    for name, bare, full, ratio in found:
        table.add_row(name, f"{bare:.0f}", f"{full:.0f}", f"{ratio:.1f}x")
    console = Console(width=110)
    console.print(table)
    for name, driven, read in replayed(1000):
        console.print(f"{name}: {driven:.1f} ms, one bulk read of its journal {read:.1f} ms")


if __name__ == "__main__":
    main()
