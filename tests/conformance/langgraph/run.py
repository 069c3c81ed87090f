"""Run LangGraph's own tests bare and durably, and compare them test by test.

``python -m tests.conformance.langgraph.run [--fast] [pytest arguments]``: all files, or those of FAST. The tests come from
LangGraph's source distribution, of the version that is installed. Exits with 1 if a test that passes bare does not pass
durably, or is refused, and ``known.py`` names no reason, or if a reason is left over.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conformance.langgraph.known import DIFFERS, REFUSED
from tests.conformance.upstream.comparing import compared, concluded, judged
from tests.conformance.upstream.running import packages, ran, source

HERE = Path(__file__).parent
FAST = ("test_runtime", "test_subgraph_persistence")
FILES = (
    "test_pregel",
    "test_pregel_async",
    "test_pregel_debug",
    "test_pregel_stream_events_v3",
    "test_large_cases",
    "test_large_cases_async",
    "test_retry",
    "test_state",
    "test_parent_command",
    "test_parent_command_async",
    "test_subgraph_persistence_async",
    "test_time_travel",
    "test_time_travel_async",
    "test_messages_state",
    "test_pydantic",
    *FAST,
)
LEAST = {FILES: 1200, FAST: 60}
"""How many tests pass bare at the least."""
LEFT_OUT = (
    "sqlite_aes",  # a parameter that varies the bytes of a saver which is swapped anyway
    "test_stream_buffering_single_node",  # these look at the clock
    "test_stream_subgraphs_during_execution",
    "test_max_concurrency",
)
ARGUMENTS = ("-o", "addopts=", "-k", " and ".join(f"not {name}" for name in LEFT_OUT))


def main(arguments: list[str]) -> int:
    files = FAST if "--fast" in arguments else FILES
    arguments = [argument for argument in arguments if argument != "--fast"]
    tests = [f"tests/{file}.py" for file in files]
    options = {
        "path": [HERE, packages(HERE / "requirements.txt")],
        "arguments": [*ARGUMENTS, *arguments],
        "environment": {"NO_DOCKER": "true"},
    }
    stock = ran(source("langgraph"), tests, plugins=["reporting"], **options)
    durable = ran(source("langgraph"), tests, plugins=["reporting", "durable_injection"], **options)
    comparison = compared(stock, durable)
    problems = judged(comparison, REFUSED, DIFFERS, whole=files == FILES and not arguments)
    if not arguments and len(comparison.stock) < LEAST[files]:
        problems.append(f"{len(comparison.stock)} pass bare, fewer than {LEAST[files]}")
    return concluded(comparison, problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
