"""Facts: what a rule sees of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.declare.rules import Facts

if TYPE_CHECKING:
    from durable.step.call import Call


def facts_of(call: Call, arguments: Any, *, key: str = "") -> Facts:
    """Return the facts of a call about to be made, with these arguments; ``key`` is its step's, if that is known."""
    segment = call.segment
    execution = segment.execution
    return Facts(
        call.name,
        arguments,
        call.agent or execution.app,
        execution.app,
        execution.tags,
        lambda tool: segment.usage.calls(tool, but=key),
    )
