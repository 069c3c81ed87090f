"""Usage: what an execution has done so far, counted from its journal, each step once.

A step counts from its first record on, or from the moment it was let on in this process, so calls side by side count
each other. A retry, a replay, a crash or another worker adds nothing. What was rejected, or answered in its place, did
not run and does not count. Nothing is read before somebody asks.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from durable.record.events import ABSENT, Attempted, InterruptClosed, InterruptOpened, StepDone, StepFailed, unpack
from durable.record.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from durable.checkpoint.records import Record
    from durable.record.kinds import StepKind


class Usage:
    """Counts of one execution. Hold ``lock`` from reading a count until acting on it."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.lock = threading.RLock()
        self.tokens: dict[str, tuple[int, int]] = {}
        """Of each model, the tokens of its input and of its output."""
        self.grants = 0
        """How often a person has granted the budget again."""
        self.asked_at: str | None = None
        """The key of the step at which a person is asked about the budget now."""
        self._records = records
        self._seen = 0
        self._begun: dict[str, tuple[StepKind, str]] = {}
        self._allowed: dict[str, str] = {}

    def knows(self, key: str) -> bool:
        """True if this step has begun, here or earlier."""
        self._catch_up()
        return key in self._begun

    def begin(self, key: str, kind: StepKind, name: str) -> None:
        """Count a step that is let on now."""
        self._begun.setdefault(key, (kind, name))

    def allow(self, key: str, name: str) -> None:
        """Let other rules see a step that its own rule has allowed, though it may have to wait before it begins."""
        self._allowed[key] = name

    def calls(self, name: str, *, but: str = "") -> int:
        """Return how many steps of this name there are, apart from the one with the key ``but``."""
        with self.lock:
            self._catch_up()
            names = self._allowed | {key: begun for key, (_, begun) in self._begun.items()}
            return sum(1 for key, called in names.items() if called == name and key != but)

    def count(self, limit: str) -> int:
        """Return how many steps a limit of a budget counts: ``steps``, ``tool_calls`` or ``model_calls``."""
        self._catch_up()
        return sum(limit in kind.limits for kind, _ in self._begun.values())

    def _catch_up(self) -> None:
        with self.lock:
            new = self._records[self._seen :]
            self._seen += len(new)
            for record in new:
                self._take(record)

    def _take(self, record: Record) -> None:
        event, key = unpack(record), record.step_key or ""
        if isinstance(event, InterruptOpened) and event.budget is not None:
            self.asked_at = key
        elif isinstance(event, InterruptClosed) and key == self.asked_at:
            self.asked_at = None
            self.grants += 1 if event.granted else 0
        elif isinstance(event, Attempted):
            self._take_attempt(key, event)

    def _take_attempt(self, key: str, event: Attempted) -> None:
        if event.effect is None or _answered_otherwise(event):
            return
        self._begun[key] = (kind_of(event.kind), event.name or "")
        if isinstance(event, StepDone) and event.usage is not None:
            self._spend(event.model or "", event.usage)

    def _spend(self, model: str, usage: Mapping[str, int]) -> None:
        input_tokens = int(usage.get("input_tokens", 0))
        output_tokens = int(usage.get("output_tokens", 0))
        before = self.tokens.get(model, (0, 0))
        # what is in the total and in neither (thinking, with some providers) is paid for as output
        output_tokens = max(output_tokens, int(usage.get("total_tokens", 0)) - input_tokens)
        self.tokens[model] = (before[0] + input_tokens, before[1] + output_tokens)


def _answered_otherwise(event: Attempted) -> bool:
    """True if a person or a policy has answered the call, so that its body did not run."""
    if isinstance(event, StepFailed):
        return event.rejected is not None or event.by is not ABSENT
    return isinstance(event, StepDone) and event.by is not ABSENT
