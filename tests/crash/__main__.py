"""``python -m tests.crash``: enumerate, and print what came of it as a table for the documentation.

``--pairs`` kills the core a second time while the first kill is recovered, behind every change of it (SQLite only);
``--only NAME`` picks scenarios by the name of their class, with ``--pairs`` also those of frameworks. Minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.crash.adk_scenarios import ADK
from tests.crash.core_scenarios import CORE
from tests.crash.harness import enumerate_pairs, enumerate_points
from tests.crash.langgraph_scenarios import LANGGRAPH
from tests.crash.openai_scenarios import OPENAI
from tests.crash.places import ROOT, Places
from tests.postgres import new_root, running_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.crash.harness import Tally
    from tests.crash.scenario import Scenario

HEAD = ("scenario", "database", "points", "stories", "kills", "in doubt", "violations", "seconds")


def run(scenario: type[Scenario], server: str | None, *, pairs: bool) -> tuple[Tally, float]:
    """Enumerate one scenario in one database: the tally, and the seconds it took."""
    began = time.monotonic()
    with Places(scenario(), server) as places:
        tally = enumerate_pairs(places, seconds=None) if pairs else enumerate_points(places)
    return tally, time.monotonic() - began


def line(cells: Sequence[object]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main() -> int:
    """Print the table; the exit status is 1 if there was a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    asked = parser.parse_args()
    default = CORE if asked.pairs else (*CORE, *LANGGRAPH, *OPENAI, *ADK)
    chosen = [one for one in (*CORE, *LANGGRAPH, *OPENAI, *ADK) if one.__name__ in asked.only] or default
    violations: list[str] = []
    print(line(HEAD), line(["---"] * len(HEAD)), sep="\n")
    with ExitStack() as held:
        root = new_root()
        held.callback(shutil.rmtree, root, ignore_errors=True)
        os.environ[ROOT] = str(root)
        servers: dict[str, str | None] = {"SQLite": None}
        if not asked.pairs:
            servers["PostgreSQL"] = held.enter_context(running_server())
        for name, server in servers.items():
            for scenario in chosen:
                tally, seconds = run(scenario, server, pairs=asked.pairs)
                found = len(tally.violations)
                cells = (tally.points, tally.stories, tally.kills, tally.doubts, found, round(seconds))
                print(line([scenario.name, name, *cells]), flush=True)
                violations += [f"{scenario.name}, {name}, killed at {at}: {what}" for at, what in tally.violations]
    print(*violations, sep="\n", file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
