"""Failures as they are recorded, and raised again on a replay.

The type is rebuilt if it is a builtin exception or one named in ``Runtime(types=[...])``; any other comes back as
StepFailed with the recorded type and message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.errors import CodecError, ResultLost, StepFailed, StepTimeout, ToolNotAllowed, ToolRejected
from durable.record import events

if TYPE_CHECKING:
    from durable.checkpoint.codec.codec import Codec
    from durable.checkpoint.records import Record
    from durable.record.events import Described

LONGEST = 10_000


_AT = "__durable_step__"


def describe(error: BaseException) -> Described:
    """Type and message, as plain JSON; of a message longer than LONGEST characters, the beginning."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a __str__ of the user's may raise anything
        message = f"(its text cannot be made: {type(error).__qualname__}.__str__ raises)"
    return {
        "type": type(error).__qualname__,
        "message": message if len(message) <= LONGEST else message[:LONGEST] + "...",
    }


def shown(value: object, length: int) -> str:
    """Return the beginning of the value's repr, or its type where the repr raises."""
    try:
        return repr(value)[:length]
    except Exception:  # noqa: BLE001 - see above
        return f"<{type(value).__qualname__}>"


def encode(codec: Codec, error: BaseException) -> bytes | None:
    """Return the encoded exception, if the codec can rebuild it and it is not too long to be stored; else None."""
    if not codec.allows(type(error)):
        return None
    try:
        encoded = codec.encode(error)
    except CodecError:
        return None
    return encoded if len(encoded) <= 4 * LONGEST else None


def mark(error: BaseException, step_key: str) -> None:
    """Remember at the exception which step raised it: of steps inside each other, the innermost."""
    if not str(getattr(error, _AT, "")).startswith(step_key + "/"):
        try:
            setattr(error, _AT, step_key)
        except AttributeError:
            return  # an exception with slots: the history then lacks the step, nothing else


def is_outcome(error: BaseException) -> bool:
    """Return True if this exception itself is what a step came to."""
    return hasattr(error, _AT)


def origin(error: BaseException | None) -> str | None:
    """Return the key of the step that raised this exception, or the one that caused it; None if no step did."""
    visited: set[int] = set()
    while error is not None and id(error) not in visited:
        visited.add(id(error))
        if hasattr(error, _AT):
            return str(getattr(error, _AT))
        error = error.__cause__ or error.__context__
    return None


def recorded(record: Record) -> BaseException | None:
    """Return the exception that the record of an outcome stands for, ready to be raised; None if it has a value."""
    event, key = events.unpack(record), record.step_key or ""
    error: BaseException | None = None
    if isinstance(event, events.StepFailed):
        error = _failed(record, event, key)
    elif isinstance(event, events.StepDone) and event.result_lost is not None:
        error = ResultLost(key, event.result_lost)
    if error is not None:
        mark(error, key)
    return error


def _failed(record: Record, failed: events.StepFailed, key: str) -> BaseException:
    if failed.rejected is not None:
        return (ToolNotAllowed if failed.not_allowed else ToolRejected)(failed.name or "", failed.rejected)
    if isinstance(failed.timeout, (int, float)):
        return StepTimeout(key, failed.timeout)
    revived = record.value()
    if isinstance(revived, BaseException):
        return revived
    described = failed.error or {"type": "Exception", "message": ""}
    return StepFailed(key, described["type"], described["message"])
