"""Writes the list of rooms in docs/explanation/map.md from the modules: ``.venv/bin/python -m tests.map_page``."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "explanation" / "map.md"
START, END = "<!-- rooms -->\n", "<!-- end of rooms -->\n"
FOLDERS = (
    *(f"durable/{floor}" for floor in ("kit", "run", "telemetry", "step", "step/gates", "inbox", "live", "record")),
    *("durable/record/events", "durable/declare", "durable/secrets", "durable/errors"),
    *(
        "checkpoint",
        "checkpoint/inbox",
        "checkpoint/pace",
        "checkpoint/journal",
        "checkpoint/state",
        "checkpoint/codec",
    ),
    *("durable/openapi", "durable/testing", "durable/cli"),
    *(
        f"adapters/{name}/{floor}"
        for name in ("langgraph", "openai_agents", "google_adk")
        for floor in ("entry", "seams", "state")
    ),
)
"""From the top floor to the ground; then what stands above the core, and the adapters."""


def first_sentence(path: Path) -> str:
    """Return what a module says of itself, up to the first full stop."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0].split())
    sentence, stop, _ = text.partition(". ")
    return sentence + "." if stop else text


def rooms() -> str:
    """Return the list of all rooms, a line each."""
    lines = []
    for folder in FOLDERS:
        paths = sorted(path for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py")
        about = first_sentence(ROOT / folder / "__init__.py")
        lines += [f"### `{folder}/`", "", about, "", "| room | |", "|---|---|"]
        lines += [f"| `{path.stem}` | {first_sentence(path)} |" for path in paths]
        lines.append("")
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page with the rooms as they are now."""
    head, _, rest = text.partition(START)
    return head + START + "\n" + rooms() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
