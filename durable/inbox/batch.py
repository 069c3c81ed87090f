"""Batches: what is to commit together, and who is to be told of it.

A decision returns one and writes nothing; whoever acts on the decision commits it, with ``commit``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.checkpoint.records import NewRecord, Record
    from durable.inbox.kinds import InterruptKind
    from durable.live.segment import Segment


@dataclass(frozen=True, slots=True)
class Asked:
    """An interrupt that is open when the batch has committed; without a ``kind`` it was open before."""

    interrupt_id: str
    step_key: str
    kind: InterruptKind | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Records, and the statements that commit with them: the decisions used up, the questions asked."""

    records: tuple[NewRecord, ...] = ()
    companions: tuple[Callable[[Any], object], ...] = ()
    answers: tuple[Any, ...] = ()
    questions: tuple[Asked, ...] = ()

    def __add__(self, other: Batch) -> Batch:
        if not self.records:
            return other
        if not other.records:
            return self
        return Batch(
            self.records + other.records,
            self.companions + other.companions,
            self.answers + other.answers,
            self.questions + other.questions,
        )


NOTHING = Batch()


def commit(segment: Segment, batch: Batch) -> tuple[Record, ...]:
    """Append a batch, durable before this returns, and wait for what it asks. Raises LeaseLost, StorageError."""
    if not batch.records:
        return ()
    telemetry = segment.runtime.telemetry
    for answer in batch.answers:
        telemetry.decided(segment, answer)
    appended = segment.append(*batch.records, companions=batch.companions)
    for asked in batch.questions:
        if asked.kind is not None:
            telemetry.interrupt_opened(segment, asked.interrupt_id, asked.kind, asked.step_key)
        segment.opened(asked.interrupt_id)
    return appended
