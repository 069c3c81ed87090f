"""Writes docs/reference/journal.md from the events: ``.venv/bin/python -m tests.journal_page``."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import MISSING, Field, fields
from pathlib import Path

import durable.adapters.google_adk.state.notes
import durable.adapters.langgraph.state.notes  # noqa: F401 - so that the notes of the adapters are known
from durable.record.events import Event, Trace
from durable.record.events.base import KINDS, VARIANTS

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "journal.md"
HEAD = """# The journal

An execution's journal is a list of records: `seq`, `epoch`, `kind`, `step_key`, `at` (epoch seconds on the database's clock), the plain JSON
fields below, and a value where one is said. `handle.history()` returns them, `durable history --json` prints them with their fields as `meta`.
A field that is not *always* there is left out where there is nothing to say. A newer version may add fields, notes and kinds; a reader ignores
what it does not know. This page is made from `durable/record/events/`, where each kind of record and each note is a type.
"""
FIRST = ("started", "claimed")
JSON = (
    ("Sequence[Mapping[str, Any]]", "list of objects"),
    ("Sequence[str]", "list of strings"),
    ("Mapping[str, int]", "object of integers"),
    ("Described", "object"),
    ("PlannedEnding", "object"),
    ("float", "number"),
    ("bool", "true or false"),
    ("int |", "integer |"),
    ("str |", "string |"),
)
LAST = ("checkpoint", "succeeded", "failed", "cancelled")


def meanings(event_type: type) -> dict[str, str]:
    """Return what the text below each field of a class, or of the classes it is made from, says."""
    found: dict[str, str] = {}
    for base in reversed(event_type.__mro__[:-1]):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(body, ast.ClassDef)
        for line, below in zip(body.body, body.body[1:], strict=False):
            match line, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
    return found


def section(title: str, event_type: type) -> str:
    """Return what the page says of one event."""
    lines = [f"### `{title}`", "", " ".join((inspect.getdoc(event_type) or "").split()), ""]
    said = meanings(event_type)
    if fields(event_type):
        lines += ["| field | type | always | meaning |", "|---|---|---|---|"]
    for field in fields(event_type):
        always = "yes" if field.default is MISSING else ""
        lines.append(f"| `{field.name}` | {_json_type(field)} | {always} | {said[field.name]} |")
    return "\n".join(lines) + ("\n" if fields(event_type) else "")


def _json_type(field: Field[object]) -> str:
    """Return the type of a field in the words of JSON."""
    declared = f"{field.type} |"
    for ours, theirs in JSON:
        declared = declared.replace(ours, theirs)
    can_be_null = "Absent" in declared or field.default is MISSING
    declared = declared.removesuffix(" |")
    return declared.replace(" | Absent", "").replace(" | None", " or null" if can_be_null else "")


def page() -> str:
    """Return the whole page."""
    middle = [kind for kind in KINDS if kind not in {*FIRST, *LAST}]
    checkpoints = [(mark, kind) for (of, mark), kind in VARIANTS.items() if of == "checkpoint"]
    notes = [(event, kind) for (of, event), kind in VARIANTS.items() if of == "note"]
    parts = [HEAD, "## Kinds\n"]
    for kind in [*FIRST, *middle, *LAST]:
        parts.append(section(kind, KINDS[kind]))
        if kind == "checkpoint":
            parts += [section(f"checkpoint` with `{mark}", event_type) for mark, event_type in checkpoints]
    parts += ["## Notes\n", "A record of the kind `note` has no step key; its field `event` says which note it is.\n"]
    parts += [section(event, event_type) for event, event_type in sorted(notes, key=_who)]
    parts += ["## The trace context\n", section("traceparent", Trace)]
    return "\n".join(parts)


def _who(note: tuple[str, type[Event]]) -> tuple[bool, str]:
    return "adapters" in note[1].__module__, note[1].__module__


if __name__ == "__main__":
    PAGE.write_text(page())
