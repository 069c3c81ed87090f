"""Earlier effects: what an execution did beyond a point that another one has gone back to.

Pure: records in, effects out. A call that failed for good, was rejected, or was answered by a person in its place did
nothing outside; one that began and has no outcome may have happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from durable.record.replay import EFFECTS, Replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from durable.checkpoint.records import Record
    from durable.record.replay import Outcome

INNER = "framework"
"""The kind of steps that serve a framework itself: they change what it keeps, nothing outside."""


COMPENSATION = "compensate"
"""What the key of a step that undoes a call adds to the key of that call."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A call that happened, or may have: ``result`` is None where nobody knows."""

    execution_id: str
    step_key: str
    name: str
    arguments_hash: str
    at: float
    """The instant of its last record."""
    result: Record | None
    edited: Record | None
    """Of a call that a person has edited: the arguments it was made with."""
    given: Record | None
    """Of a call that can be undone: the arguments it began with."""

    @property
    def mark(self) -> tuple[str, str]:
        """What stands in the record of a call that repeats this one."""
        return (self.execution_id, self.step_key)


def beyond(execution_id: str, records: Iterable[Record], seq: int) -> list[Effect]:
    """Return the effects of an execution that are not on record up to ``seq``, in the order in which they began."""
    whole, last, kinds = Replay(), dict[str, "Record"](), dict[str, str]()
    for record in records:
        whole.fold((record,))
        if record.step_key is not None:
            last[record.step_key] = record
            kinds[record.step_key] = str(record.meta.get("kind", ""))
    return [
        _effect(execution_id, outcome, last[key])
        for key, outcome in whole.steps.items()
        if key in last and kinds[key] != INNER and _may_count(outcome, last[key], seq) and not _undone(whole, key)
    ]


def marks(records: Iterable[Record]) -> Iterator[tuple[str, str]]:
    """Return the earlier effects that calls of an execution were matched with."""
    for record in records:
        if "repeats" in record.meta:
            execution_id, step_key = record.meta["repeats"]
            yield (execution_id, step_key)


def _may_count(outcome: Outcome, last: Record, seq: int) -> bool:
    if outcome.effect not in EFFECTS:
        return False
    if outcome.progress == "started":
        return True
    return last.seq > seq and (_happened(outcome) or _timed_out(outcome))


def _undone(whole: Replay, key: str) -> bool:
    undoing = whole.steps.get(f"{key}/{COMPENSATION}")
    return key.endswith(f"/{COMPENSATION}") or (undoing is not None and undoing.progress == "done")


def _happened(outcome: Outcome) -> bool:
    if outcome.progress != "done" or outcome.result is None or outcome.repeated == "reuse":
        return False
    in_its_place = "by" in outcome.result.meta and outcome.attempts == 0
    return not in_its_place


def _timed_out(outcome: Outcome) -> bool:
    return outcome.progress == "failed" and outcome.result is not None and "unknown" in outcome.result.meta


def _effect(execution_id: str, outcome: Outcome, last: Record) -> Effect:
    return Effect(
        execution_id,
        outcome.key,
        outcome.name,
        outcome.arguments_hash,
        last.at,
        outcome.result if outcome.progress == "done" else None,
        outcome.edited,
        outcome.given,
    )
