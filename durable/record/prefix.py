"""Prefixes: where a journal can be cut so that what is before it stands for itself.

A cut is clean if no step is under way there: none has begun without an outcome, and no decision was taken without what
it led to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.record.events import (
    Compensating,
    InterruptClosed,
    StepDone,
    StepFailed,
    StepRetry,
    StepStarted,
    unpack,
    unpack_if,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable.checkpoint.records import Record


def clean_points(records: Sequence[Record]) -> list[int]:
    """Return every seq of a journal at which no step is under way, in order."""
    under_way: set[str] = set()
    points = []
    for place, record in enumerate(records):
        if unpack_if(record, Compensating) is not None:
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
    match unpack(record):
        case StepRetry() as retry if not (retry.never_entered or retry.waits_inside):
            under_way.add(key)
        case StepStarted():
            under_way.add(key)
        case StepRetry() | StepDone() | StepFailed():
            under_way.discard(key)


def _go_together(record: Record, after: Record | None) -> bool:
    """True if these records were appended as one: a decision, and what it led to."""
    if after is None or record.epoch != after.epoch or record.step_key != after.step_key:
        return False
    led_to = isinstance(unpack(after), (StepStarted, StepDone, StepFailed))
    return led_to and isinstance(unpack(record), InterruptClosed)
