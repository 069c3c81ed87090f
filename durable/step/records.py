"""The records that a step writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.checkpoint.records import NewRecord
from durable.declare.registry import reference
from durable.errors import (
    StepTimeout,
)
from durable.record import failure
from durable.record.failure import encode
from durable.step.call import StepCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.records import Record
    from durable.record.replay import Outcome
    from durable.step.call import StepCall


def done(call: StepCall, outcome: Outcome, value: Any, took: Mapping[str, Any]) -> NewRecord:
    """The record of a step that has finished; of one whose result cannot be recorded, that it was lost."""
    codec = call.scope.segment.runtime.codec
    if call.usage is not None:
        took = {**took, "usage": call.usage(value), "model": call.model}
    try:
        encoded, redacted = codec.redacted(value, what=f"the result of {call.name}")
    except Exception as exc:  # whatever a value of the user's may raise: its effect has happened
        if call.composite:
            raise
        lost = failure.describe(exc)["message"]
        return NewRecord("step_done", outcome.key, call.meta(**took, result_lost=lost, repr=failure.shown(value, 500)))
    return NewRecord("step_done", outcome.key, call.meta(**took, **({"redacted": True} if redacted else {})), encoded)


def as_returned(record: NewRecord | Record) -> bool:
    """Whether a finished step's record holds what its body returned; if not, the caller gets what is recorded."""
    return "result_lost" not in record.meta and "redacted" not in record.meta


def started_record(call: StepCall, outcome: Outcome, arguments: Any) -> NewRecord:
    """The record that an attempt begins; with the arguments, if the call may have to be undone without its app."""
    meta, undo = call.meta(attempt=outcome.attempts + 1), call.policy.compensate
    if undo is None:
        return NewRecord("step_started", outcome.key, meta)
    value = call.scope.segment.runtime.codec.encode(arguments, what=f"the arguments of {call.name}")
    return NewRecord("step_started", outcome.key, {**meta, "compensate": reference(undo)}, value)


def failed(call: StepCall, key: str, error: BaseException, meta: Mapping[str, Any]) -> NewRecord:
    """The record of a step that failed for good."""
    limit = {"timeout": call.policy.timeout} if isinstance(error, StepTimeout) else {}
    return NewRecord("step_failed", key, {**meta, **limit}, encode(call.scope.segment.runtime.codec, error))
