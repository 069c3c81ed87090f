"""``python -m tests.contract``: the resume contract, ours beside the bare frameworks, as a table for the documentation.

``--only NAME`` picks subjects by a part of their name. Minutes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contract.places import new_place
from tests.contract.properties import PROPERTIES, holds
from tests.contract.subjects import BARE, DURABLE
from tests.postgres import new_root, running_server

if TYPE_CHECKING:
    from tests.contract.subject import Subject


def cell(kind: type[Subject], name: str, root: Path, server: str | None) -> tuple[str, list[str]]:
    """How many of the ways in which a property is tried hold, and what is broken in the others."""
    broken: list[str] = []
    for way, check in PROPERTIES[name].items():
        with new_place(kind, root, server) as place:
            found = holds(check, place)
        broken += [f"{kind.name}, {name} {way}: {one}" for one in found[:1]]
    ways = len(PROPERTIES[name])
    return ("holds" if not broken else f"**fails** {len(broken)}/{ways}"), broken


def main() -> int:
    """Print the table; the exit status is 1 if a property of ours is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=__doc__)
    parser.add_argument("--only", default="")
    wanted = parser.parse_args().only
    print("| | database |", *(f"{name} |" for name in PROPERTIES))
    print("|---" * (2 + len(PROPERTIES)) + "|")
    status = 0
    with ExitStack() as held:
        root = Path(tempfile.mkdtemp(dir=new_root()))
        held.callback(shutil.rmtree, root.parent, ignore_errors=True)
        server = held.enter_context(running_server())
        rows = [(kind, where) for kind in DURABLE for where in (None, server)] + [(kind, None) for kind in BARE]
        for kind, where in rows:
            if wanted not in kind.name:
                continue
            cells = [cell(kind, name, root, where) for name in PROPERTIES]
            database = "its own" if kind in BARE else "SQLite" if where is None else "PostgreSQL"
            print(f"| {kind.name} | {database} |", *(f"{words} |" for words, _ in cells), flush=True)
            for _, broken in cells:
                print(*broken, sep="\n", end="\n" if broken else "", file=sys.stderr)
                status = 1 if broken and kind in DURABLE else status
    return status


if __name__ == "__main__":
    sys.exit(main())
