"""Print text for people: tables, colours where they are wanted, and nothing stored that a terminal would obey.

Colour never carries meaning alone. NO_COLOR and a pipe take it away; a pipe gets lines as wide as they need.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.errors import DurableError

STYLES: Mapping[str, str] = {
    "succeeded": "green",
    "failed": "red",
    "dead": "bold red",
    "cancelled": "dim",
    "suspended": "yellow",
    "running": "cyan",
    "pending": "blue",
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
}
_PIPE_WIDTH = 200
_DANGEROUS = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


class Output:
    """Output of a verb: text, or one JSON document."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False, markup=False, emoji=False, width=_width())

    def write(self, plain: Any, text: Callable[[Console], object]) -> None:
        """Write the answer in the form that was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(plain, indent=2, default=str) + "\n")
        else:
            text(self.console)

    def refused(self, error: DurableError) -> None:
        """Print why not, on stderr."""
        if self.as_json:
            line = json.dumps({"error": {"type": type(error).__name__, "message": str(error)}})
        else:
            line = f"durable: {clean(str(error))}"
        sys.stderr.write(line + "\n")


def _width() -> int | None:
    if sys.stdout.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) else _PIPE_WIDTH


def clean(text: str) -> str:
    """Return the text, escaping what would move a cursor, ring a bell or turn the direction of writing."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char == "\n" or unicodedata.category(char) not in _DANGEROUS else ascii(char)[1:-1] for char in text
    )


def cell(value: object, style: str = "") -> Text:
    """Return a value as the text of a table cell."""
    return Text("" if value is None else clean(str(value)), style=style)


def status(value: str) -> Text:
    """Return a status in its colour."""
    return cell(value, STYLES.get(value, ""))


def short(value: Any, limit: int = 80) -> str:
    """Return a value as one line of JSON, cut where it is too long."""
    line = json.dumps(value, ensure_ascii=False, default=str)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def whole(value: Any) -> str:
    """Return a value as JSON on as many lines as it needs."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def moment(at: float | None) -> str:
    """Return an instant as people write it, in UTC."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def took(seconds: float | None) -> str:
    """Return a duration with the unit that fits."""
    if seconds is None:
        return ""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def table(*columns: str, fixed: tuple[str, ...] = ()) -> Table:
    """Return an empty table; ``fixed`` columns are never wrapped."""
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        rows.add_column(name, no_wrap=name in fixed, overflow="fold", justify="right" if name == "took" else "left")
    return rows


def fields(console: Console, values: Mapping[str, object]) -> None:
    """Print names and values below each other. What is empty is left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in values.items():
        if value is not None and value not in ("", {}, []):
            grid.add_row(Text(name, style="bold"), value if isinstance(value, Text) else cell(value))
    console.print(grid)
