"""Earlier effects: what an execution did beyond a point that another one has gone back to.

Pure: records in, effects out. A call that failed for good, was rejected, or was answered by a person in its place did
nothing outside; one that began and has no outcome may have happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from durable.declare.effects import effect_of
from durable.record.events import ABSENT, Called, Repeated, StepDone, StepFailed, unpack, unpack_if
from durable.record.kinds import FRAMEWORK
from durable.record.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from durable.checkpoint.records import Record
    from durable.record.replay import Outcome

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
    whole, last = Replay(), dict[str, "Record"]()
    own: set[str] = set()
    for record in records:
        whole.fold((record,))
        if record.step_key is None:
            continue
        last[record.step_key] = record
        event = unpack(record)
        if isinstance(event, Called) and event.kind == FRAMEWORK.name:  # it changes what the framework keeps
            own.add(record.step_key)
    return [
        _effect(execution_id, outcome, last[key])
        for key, outcome in whole.steps.items()
        if key in last and key not in own and _may_count(outcome, last[key], seq) and not _undone(whole, key)
    ]


def marks(records: Iterable[Record]) -> Iterator[tuple[str, str]]:
    """Return the earlier effects that calls of an execution were matched with."""
    for record in records:
        event = unpack(record)
        if isinstance(event, (Called, Repeated)) and event.repeats is not None:
            execution_id, step_key = event.repeats
            yield (execution_id, step_key)


def _may_count(outcome: Outcome, last: Record, seq: int) -> bool:
    if not effect_of(outcome.effect).changes_world:
        return False
    return outcome.is_started or (last.seq > seq and (_happened(outcome) or _timed_out(outcome)))


def _undone(whole: Replay, key: str) -> bool:
    undoing = whole.steps.get(f"{key}/{COMPENSATION}")
    return key.endswith(f"/{COMPENSATION}") or (undoing is not None and undoing.is_done)


def _happened(outcome: Outcome) -> bool:
    done = unpack_if(outcome.result, StepDone)
    if done is None or outcome.repeated == "reuse":
        return False
    in_its_place = done.by is not ABSENT and outcome.attempts == 0
    return not in_its_place


def _timed_out(outcome: Outcome) -> bool:
    failed = unpack_if(outcome.result, StepFailed)
    return failed is not None and failed.unknown


def _effect(execution_id: str, outcome: Outcome, last: Record) -> Effect:
    return Effect(
        execution_id,
        outcome.key,
        outcome.name,
        outcome.arguments_hash,
        last.at,
        outcome.result if outcome.is_done else None,
        outcome.edited,
        outcome.begun_with,
    )
