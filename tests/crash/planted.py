"""Planted bugs: each is put into one process, the child that is about to live, and must be found by the enumeration."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from durable.checkpoint.inbox import interrupts
from durable.live.segment import Segment
from durable.record import keys
from durable.step.gates import doubt
from durable.step.verdicts import PASS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durable.checkpoint.records import Interrupt, NewRecord


def no_started_record() -> None:
    """A once effect runs without a word in the journal before it."""
    append = Segment.append

    def forgetful(self: Segment, *records: NewRecord, companions: Sequence[Callable[[Any], object]] = ()) -> Any:
        return append(self, *[record for record in records if record.kind != "step_started"], companions=companions)

    Segment.append = forgetful  # type: ignore[method-assign]


def once_runs_again() -> None:
    """What was started and has no outcome is simply run again, whatever its effect."""
    doubt.inquire = lambda _: PASS


def decision_used_up_beforehand() -> None:
    """A decision is consumed in a transaction of its own, before that of the step it was made for."""
    consuming = interrupts.consuming
    here = []
    opened = Segment.__init__

    def remembering(self: Segment, runtime: Any, *args: Any, **kwargs: Any) -> None:
        here[:] = [runtime.database]
        opened(self, runtime, *args, **kwargs)

    def alone(interrupt: Interrupt) -> Callable[[Any], object]:
        here[0].transact(consuming(interrupt))
        return lambda _: None

    Segment.__init__ = remembering  # type: ignore[method-assign]
    interrupts.consuming = alone


def decision_used_up_afterwards() -> None:
    """A decision is consumed in a transaction of its own, after that of the step it was made for."""
    consuming = interrupts.consuming
    append = Segment.append

    def first_the_records(
        self: Segment, *records: NewRecord, companions: Sequence[Callable[[Any], object]] = ()
    ) -> Any:
        late = [companion for companion in companions if getattr(companion, "late", False)]
        appended = append(self, *records, companions=[one for one in companions if one not in late])
        for companion in late:
            self.runtime.database.transact(companion)
        return appended

    def marked(interrupt: Interrupt) -> Any:
        consume: Any = consuming(interrupt)
        consume.late = True
        return consume

    Segment.append = first_the_records  # type: ignore[method-assign]
    interrupts.consuming = marked


def two_transactions() -> None:
    """A transactional tool's own writes commit, then its record in another transaction."""
    transact = Segment.transact

    def apart(self: Segment, change: Callable[[Any], Sequence[NewRecord]]) -> None:
        with self.runtime.database.write() as connection:
            records = change(connection)
        transact(self, lambda _: records)

    Segment.transact = apart  # type: ignore[method-assign]


def another_key_each_time() -> None:
    """An idempotency key made from the attempt, not from the step."""
    key_for = keys.key_for
    made = iter(range(1_000_000))

    def fresh(*place: str) -> str:
        return key_for(*place[:3], f"{place[3]} {id(made)} {next(made)}")

    keys.key_for = fresh


def branch_without_a_word() -> None:
    """An idempotent step in a branch runs before the journal knows which number, and so which key, it was given."""
    steps = import_module("durable.step.begin")  # the package has a function of that name
    steps._must_be_announced = lambda placed: placed.call.policy.does.announced and placed.call.kind.has_effect
