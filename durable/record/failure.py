"""Failures as they are recorded, and raised again on a replay.

The type is rebuilt if it is a builtin exception or one named in ``Runtime(types=[...])``; any other comes back as
StepFailed with the recorded type and message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.errors import CodecError, ResultLost, StepFailed, StepTimeout, ToolNotAllowed, ToolRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.codec.codec import Codec
    from durable.checkpoint.records import Record


LONGEST = 10_000


_AT = "__durable_step__"


def describe(error: BaseException) -> dict[str, str]:
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
    """The beginning of the value's repr; a repr may raise anything."""
    try:
        return repr(value)[:length]
    except Exception:  # noqa: BLE001 - see above
        return f"<{type(value).__qualname__}>"


def encode(codec: Codec, error: BaseException) -> bytes | None:
    """The exception itself, if the codec can rebuild it and it is no longer than what is kept of a message."""
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


def origin(error: BaseException | None) -> str | None:
    """The step that raised this exception, or the one that caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if hasattr(error, _AT):
            return str(getattr(error, _AT))
        error = error.__cause__ or error.__context__
    return None


def recorded(record: Record) -> BaseException:
    """The exception that a ``step_failed`` or lost ``step_done`` record stands for, ready to be raised."""
    meta: Mapping[str, Any] = record.meta
    key = record.step_key or ""
    error: BaseException
    if "result_lost" in meta:
        error = ResultLost(key, meta["result_lost"])
    elif meta.get("rejected") is not None:
        error = (ToolNotAllowed if meta.get("not_allowed") else ToolRejected)(meta.get("name", ""), meta["rejected"])
    elif meta.get("timeout") is not None:
        error = StepTimeout(key, meta["timeout"])
    else:
        revived = record.value()
        said = meta.get("error", {})
        error = (
            revived
            if isinstance(revived, BaseException)
            else StepFailed(key, said.get("type", "Exception"), said.get("message", ""))
        )
    mark(error, key)
    return error
