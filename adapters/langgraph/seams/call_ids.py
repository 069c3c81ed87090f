"""Tool call ids: each call of a node has an identity of its own, also where the model gave one id to several.

The first call with an id is that id; a further one in the same pass through the node, with other arguments or after
the first has finished, gets a number. A call that failed and is made again with the same arguments (a middleware
that retries) is the same call: it runs again if its effect may be repeated, and fails as recorded if not.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durable.live.scope import Scope
    from durable.record.replay import Outcome

_lock = threading.Lock()


@dataclass(slots=True)
class _Pass:
    """One pass through a scope, and the calls that have come by in it: name and arguments by identity."""

    scope: Scope
    calls: dict[str, tuple[str, str]] = field(default_factory=dict)


def identity_of(scope: Scope, tool_call_id: str, name: str, arguments: Any) -> str:
    """Return the identity of the tool call that is made now."""
    call = (name, _hash(scope, arguments))
    with _lock:
        calls = _pass(scope).calls
        mismatch: str | None = None  # the first id whose record is of another call
        for identity in _identities(tool_call_id):
            outcome = scope.segment.replay.steps.get(f"{scope.path}/{identity}")
            if identity in calls:
                if calls[identity] == call and outcome is not None and outcome.has_failed:
                    scope.segment.forget_failures(scope.path)
                    return identity
            elif outcome is None and mismatch is not None:
                return mismatch  # drift, or the record is of a call that has not come by yet: the core asks
            elif _fits(outcome, call):
                calls[identity] = call
                return identity
            else:
                mismatch = mismatch or identity
    raise AssertionError


def _identities(tool_call_id: str) -> Iterator[str]:
    yield f"tool:{tool_call_id}"
    yield from (f"tool:{tool_call_id}~{number}" for number in itertools.count(2))


def _fits(outcome: Outcome | None, call: tuple[str, str]) -> bool:
    """True if this call may have the outcome: it is new, or its record is of the same call."""
    if outcome is None or outcome.accepted or not outcome.name:
        return True
    return (outcome.name, outcome.arguments_hash) == call


def _pass(scope: Scope) -> _Pass:
    passes: dict[str, _Pass] = scope.segment.attachments.setdefault("langgraph.passes", {})
    current_pass = passes.get(scope.path)
    if current_pass is None or current_pass.scope is not scope:
        current_pass = passes[scope.path] = _Pass(scope)
    return current_pass


def _hash(scope: Scope, arguments: Any) -> str:
    try:
        return scope.segment.runtime.codec.fingerprint(arguments)
    except CodecError:
        return ""  # the step itself says what is wrong with them
