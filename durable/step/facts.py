"""Facts: what a rule sees of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.declare.rules import Facts

if TYPE_CHECKING:
    from durable.step.call import StepCall


def facts_of(call: StepCall, arguments: Any) -> Facts:
    """The facts of a call about to be made, with these arguments."""
    segment, key = call.scope.segment, call.key
    execution = segment.execution
    return Facts(
        call.name,
        arguments,
        call.agent or execution.app,
        execution.app,
        execution.tags,
        lambda tool: segment.ledger.calls(tool, but=key),
    )
