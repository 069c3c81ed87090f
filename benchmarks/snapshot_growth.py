"""What a thread costs whose list grows by 200 bytes a step: bytes on disk and milliseconds a step.

    python benchmarks/snapshot_growth.py [steps ...] [--items str|message]

One node, durability "sync", each step a superstep of the same run; LangGraph's SqliteSaver beside it up to 1,000
steps, and no checkpointer at all, in the same process and on the same disk. Times are medians, of all steps and of the
last tenth of them: flat time means that the second does not grow with the steps.
"""

from __future__ import annotations

import argparse
import itertools
import operator
import random
import sqlite3
import string
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph

from durable import Runtime
from durable.adapters.langgraph.state.saver import DurableSaver

SQLITE_SAVER_UP_TO = 1000


def item(kind: str) -> Any:
    """200 bytes that do not compress, or a message with them."""
    content = "".join(random.choices(string.ascii_letters + string.digits, k=200))
    return content if kind == "str" else AIMessage(content, id=content[:20])


def loop(saver: Any, steps: int, kind: str) -> tuple[list[float], float]:
    """Run a graph of one node that appends one item a step; seconds of each step, and of the CPU in all."""

    class State(TypedDict):
        items: Annotated[list[Any], operator.add]

    times = [time.perf_counter()]

    def node(_: State) -> dict[str, Any]:
        times.append(time.perf_counter())
        return {"items": [item(kind)]}

    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_conditional_edges("node", lambda _: "node" if len(times) <= steps else "__end__")
    app = graph.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "growing"}, "recursion_limit": steps + 10}
    busy = time.process_time()
    app.invoke({"items": []}, config, **({} if saver is None else {"durability": "sync"}))
    busy = time.process_time() - busy
    assert saver is None or len(app.get_state(config).values["items"]) == steps
    return [after - before for before, after in itertools.pairwise(times[1:])], busy


def size_of(path: Path) -> int:
    """Bytes of the database after its log was taken in."""
    if not path.exists():
        return 0
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))


def measure(name: str, steps: int, kind: str, folder: Path) -> None:
    path = folder / f"{name}-{steps}.db"
    if name == "SqliteSaver":
        with SqliteSaver.from_conn_string(str(path)) as saver:
            times, busy = loop(saver, steps, kind)
    elif name == "none":
        times, busy = loop(None, steps, kind)
    else:
        with Runtime(f"sqlite:///{path}") as runtime:
            times, busy = loop(DurableSaver(runtime), steps, kind)
    last = times[-max(1, len(times) // 10) :]
    print(
        f"{name:12} {steps:6} steps {size_of(path) / 1e6:9.2f} MB {median(times) * 1e3:8.2f} ms/step"
        f" {median(last) * 1e3:8.2f} ms/step at the end {busy / steps * 1e3:8.2f} ms CPU/step",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", type=int, default=[100, 1000, 5000])
    parser.add_argument("--items", choices=["str", "message"], default="str")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for steps in options.steps:
            measure("DurableSaver", steps, options.items, Path(folder))
            if steps <= SQLITE_SAVER_UP_TO:
                measure("SqliteSaver", steps, options.items, Path(folder))
                measure("none", steps, options.items, Path(folder))


if __name__ == "__main__":
    main()
