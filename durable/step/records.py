"""The records that a step writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.declare.registry import reference
from durable.errors import StepTimeout
from durable.record import failure
from durable.record.events import ABSENT, StepDone, StepFailed, StepStarted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.records import NewRecord
    from durable.step.call import Placed


def done(placed: Placed, value: Any, took: Mapping[str, Any]) -> tuple[StepDone, bytes | None]:
    """Return what is recorded of a step that has finished: that it is done or that its result is lost, and the value.

    A result is lost if it cannot be encoded.
    """
    call, codec = placed.call, placed.segment.runtime.codec
    if call.usage is not None:
        took = {**took, "usage": call.usage(value), "model": call.model}
    try:
        encoded, redacted = codec.redacted(value, what=f"the result of {call.name}")
    except Exception as exc:  # whatever a value of the user's may raise: its effect has happened
        if not call.kind.has_effect:
            raise
        lost = failure.describe(exc)["message"]
        return StepDone.of(placed.about, **took, result_lost=lost, repr=failure.shown(value, 500)), None
    return StepDone.of(placed.about, **took, redacted=redacted), encoded


def started(placed: Placed, arguments: Any, attempt: int) -> NewRecord:
    """Return the record that an attempt begins; with the arguments, if the call may have to be undone without its app.

    Raises NotEncodable.
    """
    undo = placed.call.policy.compensate
    if undo is None:
        return StepStarted.of(placed.about, attempt=attempt).pack(placed.key)
    value = placed.segment.runtime.codec.encode(arguments, what=f"the arguments of {placed.call.name}")
    return StepStarted.of(placed.about, attempt=attempt, compensate=reference(undo)).pack(placed.key, value)


def failed(placed: Placed, error: BaseException, more: Mapping[str, Any]) -> NewRecord:
    """Return the record of a step that failed for good."""
    timeout = placed.call.policy.timeout if isinstance(error, StepTimeout) else ABSENT
    event = StepFailed.of(placed.about, **more, timeout=timeout)
    return event.pack(placed.key, failure.encode(placed.segment.runtime.codec, error))
