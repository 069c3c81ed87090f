"""Prefixes: where a journal can be cut so that what is before it stands for itself.

A cut is clean if no step is under way there: none has begun without an outcome, and no decision was taken without what
it led to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable.checkpoint.records import Record

_HARMLESS = ("never_entered", "waits_inside")


def clean_points(records: Sequence[Record]) -> list[int]:
    """Return every seq of a journal at which no step is under way, in order."""
    under_way: set[str] = set()
    points = []
    for place, record in enumerate(records):
        if record.kind == "note" and record.meta.get("event") == "compensating":
            break  # what was done is undone from here on
        _follow(under_way, record)
        after = records[place + 1] if place + 1 < len(records) else None
        if not under_way and not _go_together(record, after):
            points.append(record.seq)
    return points


def nearest(points: Sequence[int], seq: int) -> list[int]:
    """Return the clean points next to ``seq``: the one before it and the one after it, as far as there are any."""
    before = [point for point in points if point < seq][-1:]
    after = [point for point in points if point > seq][:1]
    return before + after


def _follow(under_way: set[str], record: Record) -> None:
    key = record.step_key
    if key is None:
        return
    if record.kind in {"step_done", "step_failed"}:
        under_way.discard(key)
    elif record.kind == "step_started":
        under_way.add(key)
    elif record.kind == "step_retry" and any(word in record.meta for word in _HARMLESS):
        under_way.discard(key)
    elif record.kind == "step_retry":
        under_way.add(key)


def _go_together(record: Record, after: Record | None) -> bool:
    """True if these records were appended as one: a decision, and what it led to."""
    if after is None or record.kind != "interrupt_closed" or record.epoch != after.epoch:
        return False
    return record.step_key == after.step_key and after.kind in {"step_started", "step_done", "step_failed"}
