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
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)


def identity_of(here: Scope, tool_call_id: str, name: str, arguments: Any) -> str:
    """The identity of the tool call that is made now."""
    call = (name, _hash(here, arguments))
    with _lock:
        seen = _pass(here).seen
        mismatch: str | None = None  # the first id whose record is of another call
        for identity in _identities(tool_call_id):
            outcome = here.segment.replay.steps.get(f"{here.path}/{identity}")
            if identity in seen:
                if seen[identity] == call and outcome is not None and outcome.progress == "failed":
                    here.segment.forget_failures(here.path)
                    return identity
            elif outcome is None and mismatch is not None:
                return mismatch  # drift, or the record is of a call that has not come by yet: the core asks
            elif outcome is None or _fits(outcome, call):
                seen[identity] = call
                return identity
            else:
                mismatch = mismatch or identity
    raise AssertionError


def _identities(tool_call_id: str) -> Iterator[str]:
    yield f"tool:{tool_call_id}"
    yield from (f"tool:{tool_call_id}~{number}" for number in itertools.count(2))


def _fits(found: Outcome, call: tuple[str, str]) -> bool:
    return found.accepted or not found.name or (found.name, found.arguments_hash) == call


def _pass(here: Scope) -> _Pass:
    passes: dict[str, _Pass] = here.segment.attachments.setdefault("langgraph.passes", {})
    known = passes.get(here.path)
    if known is None or known.scope is not here:
        known = passes[here.path] = _Pass(here)
    return known


def _hash(here: Scope, arguments: Any) -> str:
    try:
        return here.segment.runtime.codec.fingerprint(arguments)
    except CodecError:
        return ""  # the step itself says what is wrong with them
