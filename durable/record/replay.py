"""Replay: a journal folded into what it says of each step.

A step found here is answered from memory, without touching the database. Numbered steps are matched by name *and*
arguments, so branches that ran side by side may come back in another order; a step that fits no record while
records of its name are left, is drift.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from durable.checkpoint.records import Record

Progress = Literal["new", "started", "done", "failed", "retry"]

EFFECTS = frozenset({"once", "idempotent", "transactional"})
"""What changes the world outside: a call of these is never made under another name instead."""


@dataclass(slots=True)
class Outcome:
    """What the journal says of one step, and whether this segment has come to it yet."""

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
    given: Record | None = None
    """Of a call that can be compensated: the arguments with which it began last."""
    interrupt: str | None = None
    interrupts: int = 0
    accepted: bool = False
    taken: bool = False
    repeats: tuple[str, str] | None = None
    """Of a call after going back: the execution and the step whose effect it would make once more."""
    repeated: str = ""
    """What was settled about that: reuse, again or undo."""


@dataclass(slots=True)
class Replay:
    """All outcomes of an execution.

    ``crashed_at`` is the last sign of life before the crash this segment recovers from.
    """

    steps: dict[str, Outcome] = field(default_factory=dict)
    numbered: dict[str, list[Outcome]] = field(default_factory=dict)
    has_checkpoint: bool = False
    ending: Mapping[str, Any] | None = None
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
        """The outcome of a keyed step, a new one if the journal does not know it."""
        outcome = self.steps.get(key)
        if outcome is None:
            outcome = self.steps[key] = Outcome(key)
            self._trees.setdefault(key.partition("/")[0], []).append(outcome)
            prefix, found, number = key.rpartition("#")
            if found and number.isdecimal():
                outcome.number = int(number)
                insort(self.numbered.setdefault(prefix, []), outcome, key=attrgetter("number"))
                self._lines.setdefault(prefix.rpartition("/")[0] + "/", []).append(outcome)
        return outcome

    def fitting(self, prefix: str, arguments_hash: str) -> Outcome | None:
        """The first record of this name with these arguments that was not taken yet."""
        known = self.numbered.get(prefix, [])
        for place in range(self._untaken(prefix, known), len(known)):
            outcome = known[place]
            if not outcome.taken and (outcome.accepted or outcome.arguments_hash == arguments_hash):
                return outcome
        return None

    def left(self, prefix: str) -> Outcome | None:
        """The first record of this name that was not taken yet."""
        known = self.numbered.get(prefix, [])
        first = self._untaken(prefix, known)
        return known[first] if first < len(known) else None

    def passed_over(self, scope: str) -> Outcome | None:
        """The first effect of this scope's own line that the code has not come to, though it is on record.

        Where the line makes a call that is new, the code has another call in its place. Branches are left out: they
        come by in any order.
        """
        line = self._lines.get(scope + "/", [])
        for outcome in line[self._untaken(scope + "/", line) :]:
            known = outcome.progress != "new" or outcome.interrupt is not None
            if known and outcome.effect in EFFECTS and not (outcome.taken or outcome.accepted or outcome.branch):
                return outcome
        return None

    def new(self, prefix: str) -> Outcome:
        """The next number of this name.

        One that is missing in between belonged to a call of which nothing was recorded.
        """
        known = self.numbered.get(prefix, [])
        number = len(known) + 1
        if known and known[-1].number != len(known):
            number = next(free for free, outcome in enumerate(known, 1) if outcome.number != free)
        return self.at(f"{prefix}#{number}")

    def _untaken(self, prefix: str, known: Sequence[Outcome]) -> int:
        first = self._first.get(prefix, 0)
        while first < len(known) and known[first].taken:
            first += 1
        self._first[prefix] = first
        return first

    def rewind(self, scope: str) -> None:
        """A scope is entered again: its steps come by again."""
        for outcome in self._under(scope):
            outcome.taken = False
        self._first.clear()

    def entered(self, scope: str) -> bool:
        """Whether something inside this scope is on record."""
        return any(outcome.progress != "new" or outcome.interrupt is not None for outcome in self._under(scope))

    def forget_failures(self, scope: str) -> None:
        """A scope failed and may be tried again: what is repeatable in it runs again, the rest stays failed."""
        for outcome in self._under(scope):
            if outcome.progress == "failed" and outcome.effect in {"read", "idempotent"}:
                outcome.progress, outcome.attempts, outcome.result = "new", 0, None

    def _under(self, scope: str) -> Iterator[Outcome]:
        inside = scope + "/"
        return (one for one in self._trees.get(scope.partition("/")[0], ()) if one.key.startswith(inside))

    def _fold(self, record: Record) -> None:
        if record.kind == "claimed":
            if not self._clean and self.crashed_at is None:
                self.crashed_at = self._alive_at
            self._clean = False
            return
        self._alive_at = record.at
        if "origin" in record.meta:
            self.origins += [(str(of), int(seq)) for of, seq in record.meta["origin"]]
        if record.kind == "checkpoint":
            self.has_checkpoint = self.has_checkpoint or "task" not in record.meta  # else one task's writes
        elif record.kind == "note" and record.meta.get("event") == "compensating":
            self.ending = record.meta["ending"]
        elif record.kind == "note" and record.meta.get("event") in {"suspended", "released", "abandoned", "forked"}:
            self._clean, self.crashed_at = True, None
            self.forked_at = record.seq if record.meta["event"] == "forked" else self.forked_at
        elif record.kind in {"succeeded", "failed", "cancelled"}:
            self._clean, self.crashed_at = True, None
            self._try_again(record.meta.get("step") or "")
        elif record.step_key is not None:
            self._fold_step(self.at(record.step_key), record)

    def _try_again(self, step: str) -> None:
        """The step for which the execution failed is new again, and with it those it failed in."""
        for key, outcome in self.steps.items():
            if outcome.progress == "failed" and (step == key or step.startswith(key + "/")):
                outcome.progress, outcome.attempts, outcome.result = "new", 0, None

    def _fold_step(self, outcome: Outcome, record: Record) -> None:
        meta = record.meta
        outcome.name = meta.get("name", outcome.name)
        outcome.arguments_hash = meta.get("arguments_hash", outcome.arguments_hash)
        outcome.effect = meta.get("effect", outcome.effect)
        outcome.branch = meta.get("branch", outcome.branch)
        outcome.attempts = meta.get("attempt", outcome.attempts)
        outcome.repeats = tuple(meta["repeats"]) if "repeats" in meta else outcome.repeats
        outcome.repeated = meta.get("repeated", outcome.repeated)
        if record.kind == "step_started":
            outcome.progress, outcome.epoch = "started", record.epoch
            outcome.given = record if "compensate" in meta else outcome.given
        elif record.kind in {"step_done", "signal"}:
            outcome.progress, outcome.result = "done", record
        elif record.kind == "step_failed":
            outcome.progress, outcome.result = "failed", record
        elif record.kind == "step_retry":
            outcome.progress, outcome.not_before = "retry", meta["not_before"]
        elif record.kind == "timer":
            outcome.progress, outcome.not_before = "started", meta["due_at"]
        elif record.kind == "interrupt_opened":
            outcome.interrupt = meta["interrupt"]
            outcome.interrupts += 1
        elif record.kind == "interrupt_closed":
            outcome.interrupt = None
            outcome.edited = record if meta.get("decision") == "edit" else outcome.edited
            outcome.accepted = outcome.accepted or meta.get("accepted", False)
