"""Events about a call: that it began, how an attempt ended, when it is tried again.

The record's step key is the key of the call, and its value, where there is one, the call's result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from durable.record.events.base import ABSENT, Absent, Described, Event, journaled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from durable.checkpoint.records import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Called(Event):
    """Fields that say which call a record is about."""

    name: str | None = None
    """The name of what is called."""
    arguments_hash: str | None = None
    """The fingerprint of the arguments, empty for a call that is a scope."""
    effect: str | None = None
    """The effect that the policy of the call says it has."""
    kind: str | None = None
    """The kind of the step: tool, model, agent, node, task, function or framework; absent for a plain step."""
    branch: bool = False
    """True if the call was made in a branch of its scope, beside others."""
    repeats: Sequence[str] | None = None
    """Of a call after going back, the execution and the step whose effect it would make once more."""
    repeated: str | None = None
    """What became of that: reuse, if the result is the earlier one's."""

    @classmethod
    def of(cls, called: Called, **more: Any) -> Self:
        """Return an event about the same call, with the fields of its own."""
        return cls(
            name=called.name,
            arguments_hash=called.arguments_hash,
            effect=called.effect,
            kind=called.kind,
            branch=called.branch,
            **more,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted(Called):
    """Fields that say which attempt a record is about."""

    attempt: int | None = None
    """Its number, 1 for the first one."""
    seconds: float | None = None
    """How long it took."""


@journaled
class StepStarted(Attempted):
    """Records that an attempt may start its effect now. The value is the arguments, if it may be undone."""

    KIND: ClassVar[Kind] = "step_started"

    compensate: str | None = None
    """The function that undoes the call, as module and name."""


@journaled
class StepDone(Attempted):
    """Records the result of a call, which is the value."""

    KIND: ClassVar[Kind] = "step_done"

    usage: Mapping[str, int] | None = None
    """Of a model call, the tokens that were counted: input_tokens, output_tokens, total_tokens."""
    model: str | None = None
    """Of a model call, the name of the model."""
    result_lost: str | None = None
    """Why the result could not be recorded, though the effect has happened."""
    repr: str | None = None
    """Of a lost result, the beginning of its repr."""
    redacted: bool = False
    """True if secrets were taken out of the value."""
    reconciled: bool = False
    """True if the tool's ``reconcile`` said that it had happened."""
    by: str | Absent | None = ABSENT
    """The person whose answer is the result; the body did not run for it."""

    @property
    def as_returned(self) -> bool:
        """True if the value is what the body returned; if not, the caller gets what is recorded."""
        return self.result_lost is None and not self.redacted


@journaled
class StepFailed(Attempted):
    """Records that a call has failed for good or was rejected. The exception is the value, if it can be rebuilt."""

    KIND: ClassVar[Kind] = "step_failed"

    error: Described | None = None
    """The exception's type and message."""
    unknown: bool = False
    """True if nobody knows what the attempt did."""
    happened: bool | None = None
    """False if it was unknown what the attempt did, and ``reconcile`` said that it did nothing."""
    timeout: float | Absent | None = ABSENT
    """Of a timeout, the seconds of the tool's policy; null if it was the deadline of the execution."""
    heard: bool = False
    """True if a reader had a part of the stream, which a further attempt would have repeated."""
    rejected: str | None = None
    """Why the call was not made, in words for the agent."""
    not_allowed: bool = False
    """True if a rule of its policy has rejected it."""
    misfit: bool = False
    """True if it was rejected because its arguments do not fit the schema."""
    by: str | Absent | None = ABSENT
    """The person who has rejected it; null if nobody decided in time."""


@journaled
class StepRetry(Attempted):
    """Records that an attempt failed or was broken off, and that the call is tried again."""

    KIND: ClassVar[Kind] = "step_retry"

    error: Described | None = None
    """The exception's type and message."""
    token_renewed: bool = False
    """True if the token had expired and was renewed."""
    unknown: bool = False
    """True if nobody knows what the attempt did."""
    happened: bool | None = None
    """False if it was unknown what the attempt did, and ``reconcile`` said that it did nothing."""
    not_before: float
    """The instant before which it is not tried again."""
    never_entered: bool = False
    """True if the caller was cancelled before the body began."""
    waits_inside: bool = False
    """True if a call inside the body waits, for which the body was left."""


@journaled
class Signal(Called):
    """Records that a call of ``wait_signal`` has received a signal, whose payload is the value."""

    KIND: ClassVar[Kind] = "signal"


@journaled
class Timer(Called):
    """Records that a call of ``sleep`` waits."""

    KIND: ClassVar[Kind] = "timer"

    due_at: float
    """The instant until which it waits."""
