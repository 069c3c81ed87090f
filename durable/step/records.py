"""The records that a step writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.declare.registry import reference
from durable.errors import (
    StepTimeout,
)
from durable.record import failure
from durable.record.events import ABSENT, StepDone, StepFailed, StepStarted
from durable.record.failure import encode
from durable.step.call import StepCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.records import NewRecord
    from durable.record.replay import Outcome
    from durable.step.call import StepCall


def done(call: StepCall, value: Any, took: Mapping[str, Any]) -> tuple[StepDone, bytes | None]:
    """Return what is recorded of a step that has finished: that it is done or that its result is lost, and the value.

    A result is lost if it cannot be encoded.
    """
    codec = call.scope.segment.runtime.codec
    if call.usage is not None:
        took = {**took, "usage": call.usage(value), "model": call.model}
    try:
        encoded, redacted = codec.redacted(value, what=f"the result of {call.name}")
    except Exception as exc:  # whatever a value of the user's may raise: its effect has happened
        if call.composite:
            raise
        lost = failure.describe(exc)["message"]
        return StepDone.of(call.about, **took, result_lost=lost, repr=failure.shown(value, 500)), None
    return StepDone.of(call.about, **took, redacted=redacted), encoded


def started_record(call: StepCall, outcome: Outcome, arguments: Any) -> NewRecord:
    """The record that an attempt begins; with the arguments, if the call may have to be undone without its app."""
    attempt, undo = outcome.attempts + 1, call.policy.compensate
    if undo is None:
        return StepStarted.of(call.about, attempt=attempt).pack(outcome.key)
    value = call.scope.segment.runtime.codec.encode(arguments, what=f"the arguments of {call.name}")
    return StepStarted.of(call.about, attempt=attempt, compensate=reference(undo)).pack(outcome.key, value)


def failed(call: StepCall, key: str, error: BaseException, more: Mapping[str, Any]) -> NewRecord:
    """Return the record of a step that failed for good."""
    timeout = call.policy.timeout if isinstance(error, StepTimeout) else ABSENT
    event = StepFailed.of(call.about, **more, timeout=timeout)
    return event.pack(key, encode(call.scope.segment.runtime.codec, error))
