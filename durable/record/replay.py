"""Replay: a journal folded into what it says of each step.

A step found here is answered from memory, without touching the database. Numbered steps are matched by name *and*
arguments, so branches that ran side by side may come back in another order; a step that fits no record while
records of its name are left, is drift.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

from durable.declare.effects import effect_of
from durable.record.events import (
    Attempted,
    Called,
    Cancelled,
    Checkpoint,
    Claimed,
    Compensating,
    Failed,
    Forked,
    GoesBack,
    InterruptClosed,
    InterruptOpened,
    LetGo,
    Repeated,
    StepRetry,
    StepStarted,
    Succeeded,
    TaskWrites,
    Timer,
    unpack,
)
from durable.record.progress import FORGOTTEN, after

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from durable.checkpoint.records import Record
    from durable.record.events import Event, PlannedEnding
    from durable.record.progress import Progress


@dataclass(slots=True)
class Outcome:
    """State of one step as its records say, and whether this segment has come to it yet."""

    key: str
    number: int = 0
    name: str = ""
    arguments_hash: str = ""
    progress: Progress = "new"
    attempts: int = 0
    epoch: int = 0
    not_before: float = 0.0
    effect: str = ""
    branch: bool = False
    result: Record | None = None
    edited: Record | None = None
    begun_with: Record | None = None
    """Of a call that can be compensated: the arguments with which it began last."""
    interrupt: str | None = None
    interrupts: int = 0
    subject: str | None = None
    """The sha256 of the question that was asked last, as it was stored."""
    accepted: bool = False
    taken: bool = False
    repeats: tuple[str, str] | None = None
    """Of a call after going back: the execution and the step whose effect it would make once more."""
    repeated: str = ""
    """What was settled about that: reuse, again or undo."""

    @property
    def is_new(self) -> bool:
        """True if nothing of it was recorded, or all of it counts no more."""
        return self.progress == "new"

    @property
    def is_started(self) -> bool:
        """True if an attempt has begun, and nothing is on record of what it came to."""
        return self.progress == "started"

    @property
    def is_to_be_retried(self) -> bool:
        """True if an attempt has failed, and another one is due at ``not_before``."""
        return self.progress == "retry"

    @property
    def is_done(self) -> bool:
        """True if it has a result."""
        return self.progress == "done"

    @property
    def has_failed(self) -> bool:
        """True if it has failed for good."""
        return self.progress == "failed"

    @property
    def ended(self) -> bool:
        """True if its result or its failure is on record."""
        return self.is_done or self.has_failed

    def follow(self, kind: str) -> bool:
        """Go on to the state to which a record of this kind leads; False if it leads nowhere from here."""
        reached = after(self.progress, kind)
        if reached is None:
            return False
        self.progress = reached
        return True

    def forget(self) -> None:
        """Be new again: what it failed in is tried again."""
        if self.follow(FORGOTTEN):
            self.attempts, self.result = 0, None


@dataclass(slots=True)
class Replay:
    """All outcomes of an execution.

    ``crashed_at`` is the last sign of life before the crash this segment recovers from.
    """

    steps: dict[str, Outcome] = field(default_factory=dict)
    numbered: dict[str, list[Outcome]] = field(default_factory=dict)
    has_checkpoint: bool = False
    ending: PlannedEnding | None = None
    """How the execution ends when its compensation is through, from the moment that it began."""
    crashed_at: float | None = None
    origins: list[tuple[str, int]] = field(default_factory=list)
    """Executions that this one has gone back behind, each with the seq up to which it still counts."""
    forked_at: int = 0
    """The seq up to which these records are copies of another execution's."""
    _first: dict[str, int] = field(default_factory=dict)
    _lines: dict[str, list[Outcome]] = field(default_factory=dict)
    _trees: dict[str, list[Outcome]] = field(default_factory=dict)
    _alive_at: float = 0.0
    _clean: bool = True

    def fold(self, records: Iterable[Record]) -> None:
        """Take in records in their order."""
        for record in records:
            self._fold(record)

    def at(self, key: str) -> Outcome:
        """Return the outcome of a keyed step, a new one if the journal does not know it."""
        outcome = self.steps.get(key)
        if outcome is None:
            outcome = self.steps[key] = Outcome(key)
            self._trees.setdefault(key.partition("/")[0], []).append(outcome)
            prefix, separator, number = key.rpartition("#")
            if separator and number.isdecimal():
                outcome.number = int(number)
                insort(self.numbered.setdefault(prefix, []), outcome, key=attrgetter("number"))
                self._lines.setdefault(prefix.rpartition("/")[0] + "/", []).append(outcome)
        return outcome

    def fitting(self, prefix: str, arguments_hash: str) -> Outcome | None:
        """Return the first outcome of this name with these arguments that no call has taken yet."""
        outcomes = self.numbered.get(prefix, [])
        for place in range(self._untaken(prefix, outcomes), len(outcomes)):
            outcome = outcomes[place]
            if not outcome.taken and (outcome.accepted or outcome.arguments_hash == arguments_hash):
                return outcome
        return None

    def left(self, prefix: str) -> Outcome | None:
        """Return the first outcome of this name that no call has taken yet."""
        outcomes = self.numbered.get(prefix, [])
        first = self._untaken(prefix, outcomes)
        return outcomes[first] if first < len(outcomes) else None

    def passed_over(self, scope: str) -> Outcome | None:
        """Return the first recorded effect in this scope that the code has skipped.

        Where the line makes a call that is new, the code has another call in its place. Branches are left out: they
        come by in any order.
        """
        line = self._lines.get(scope + "/", [])
        for outcome in line[self._untaken(scope + "/", line) :]:
            is_recorded = not outcome.is_new or outcome.interrupt is not None
            if (
                is_recorded
                and effect_of(outcome.effect).changes_world
                and not (outcome.taken or outcome.accepted or outcome.branch)
            ):
                return outcome
        return None

    def not_reached(self, decided: Collection[str]) -> Outcome | None:
        """Return a call that the code has ended without, though it may not be left: it began, or it was decided about.

        ``decided`` are the interrupts that were. A scope that is done is replayed whole, so nothing in it comes by.
        Where the code runs from its beginning, it may not leave out an effect of its own line either.
        """
        for outcome in self.steps.values():
            waits = outcome.is_started or outcome.is_to_be_retried or outcome.interrupt in decided
            has_come_by = outcome.taken or outcome.accepted or not effect_of(outcome.effect).changes_world
            if waits and not has_come_by and not self._is_inside_of_done(outcome.key):
                return outcome
        return None if self.has_checkpoint else self.passed_over("")

    def _is_inside_of_done(self, key: str) -> bool:
        around = (self.steps.get(key[:place]) for place, letter in enumerate(key) if letter == "/")
        return any(outcome is not None and outcome.is_done for outcome in around)

    def new(self, prefix: str) -> Outcome:
        """Return a new outcome under the next free number of this name.

        A number that is missing in between belonged to a call of which nothing was recorded.
        """
        outcomes = self.numbered.get(prefix, [])
        number = len(outcomes) + 1
        if outcomes and outcomes[-1].number != len(outcomes):
            number = next(free for free, outcome in enumerate(outcomes, 1) if outcome.number != free)
        return self.at(f"{prefix}#{number}")

    def _untaken(self, prefix: str, outcomes: Sequence[Outcome]) -> int:
        first = self._first.get(prefix, 0)
        while first < len(outcomes) and outcomes[first].taken:
            first += 1
        self._first[prefix] = first
        return first

    def rewind(self, scope: str) -> None:
        """Begin a scope again: calls may take the records of its steps once more."""
        for outcome in self._under(scope):
            outcome.taken = False
        self._first.clear()

    def entered(self, scope: str) -> bool:
        """True if something inside this scope is on record."""
        return any(not outcome.is_new or outcome.interrupt is not None for outcome in self._under(scope))

    def forget_failures(self, scope: str) -> None:
        """Prepare a failed scope for another try: what is repeatable in it runs again, the rest stays failed."""
        for outcome in self._under(scope):
            if effect_of(outcome.effect).repeatable:
                outcome.forget()

    def _under(self, scope: str) -> Iterator[Outcome]:
        inside = scope + "/"
        return (step for step in self._trees.get(scope.partition("/")[0], ()) if step.key.startswith(inside))

    def _fold(self, record: Record) -> None:
        event = unpack(record)
        if isinstance(event, Claimed):
            self._fold_claim()
            return
        self._alive_at = record.at
        if record.step_key is not None:
            _fold_step(self.at(record.step_key), record, event)
        else:
            self._fold_event(record.seq, event)

    def _fold_claim(self) -> None:
        if not self._clean and self.crashed_at is None:
            self.crashed_at = self._alive_at
        self._clean = False

    def _fold_event(self, seq: int, event: Event) -> None:
        """Take in what a record without a step says of the whole execution."""
        match event:
            case Checkpoint():
                self.has_checkpoint = self.has_checkpoint or not isinstance(event, TaskWrites)
            case Compensating():
                self.ending = event.ending
            case LetGo():
                self._clean, self.crashed_at = True, None
            case GoesBack():
                self._go_back(seq, event)
            case Repeated():
                _fold_repetition(self.at(event.step), event.repeats, event.repeated)
            case Succeeded() | Failed() | Cancelled():
                self._clean, self.crashed_at = True, None
                self._try_again(event.about or "")

    def _go_back(self, seq: int, event: GoesBack) -> None:
        self.origins += [(str(execution_id), int(until)) for execution_id, until in event.origin]
        if isinstance(event, Forked):
            self.forked_at, self._clean, self.crashed_at = seq, True, None

    def _try_again(self, step: str) -> None:
        """Make the step for which the execution failed new again, and the steps around it."""
        for key, outcome in self.steps.items():
            if step == key or step.startswith(key + "/"):
                outcome.forget()


def _fold_step(outcome: Outcome, record: Record, event: Event) -> None:
    if isinstance(event, Called):
        _fold_call(outcome, event)
    match event:
        case InterruptOpened():
            outcome.interrupt = event.interrupt
            outcome.interrupts += 1
            outcome.subject = event.subject
        case InterruptClosed():
            outcome.interrupt = None
            outcome.edited = record if event.decision == "edit" else outcome.edited
            outcome.accepted = outcome.accepted or bool(event.accepted)
            _fold_repetition(outcome, None, event.repeated)
        case _ if outcome.follow(record.kind):
            _fold_attempt(outcome, record, event)


def _fold_attempt(outcome: Outcome, record: Record, event: Event) -> None:
    """Take in what came with a new state of the step."""
    match event:
        case StepStarted():
            outcome.epoch = record.epoch
            outcome.begun_with = outcome.begun_with if event.compensate is None else record
        case StepRetry():
            outcome.not_before = event.not_before
        case Timer():
            outcome.not_before = event.due_at
        case _:
            outcome.result = record


def _fold_repetition(outcome: Outcome, repeats: Sequence[str] | None, repeated: str | None) -> None:
    """Take in which earlier effect the call would make once more, and what became of that."""
    if repeats is not None:
        outcome.repeats = (repeats[0], repeats[1])
    outcome.repeated = repeated or outcome.repeated


def _fold_call(outcome: Outcome, event: Called) -> None:
    """Take in what the record says of the call; what it leaves out stays as it was."""
    outcome.name = outcome.name if event.name is None else event.name
    outcome.arguments_hash = outcome.arguments_hash if event.arguments_hash is None else event.arguments_hash
    outcome.effect = outcome.effect if event.effect is None else event.effect
    outcome.branch = outcome.branch or event.branch
    _fold_repetition(outcome, event.repeats, event.repeated)
    if isinstance(event, Attempted) and event.attempt is not None:
        outcome.attempts = event.attempt
