"""Approvals: the SDK's own way to ask and to go on, answered from the one inbox.

Where the SDK would interrupt its run, the inbox is looked at first: an undecided call interrupts the run as it does
without us (``result.interruptions``), a decided one goes on at once, approved or rejected in the SDK's own terms. So a
run that is continued needs no ``RunState``: it comes by the same call again and finds the decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents._function_tool_arguments import FunctionToolApproval
from agents.items import ToolApprovalItem
from agents.run_internal.tool_execution import _FunctionToolBatchExecutor

from durable.adapters.openai_agents.gates import asks, step_of, verdict
from durable.adapters.openai_agents.seams import seam
from durable.context import scope

if TYPE_CHECKING:
    from collections.abc import Callable


def hook_approvals() -> None:
    """Put the seam in place, once per process."""
    seam(_FunctionToolBatchExecutor, "_maybe_execute_tool_approval", _answered)


def _answered(approve: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_approve(self: Any, *, approval_evaluation: Any, **about: Any) -> Any:
        here = scope()
        found = await approve(self, approval_evaluation=approval_evaluation, **about)
        if here is None:
            return found
        tool, call = about["func_tool"], about["tool_call"]
        item, native = _interruption(found), True
        agent = self.public_agent
        if found is None and asks(step_of(here, tool, call.call_id, call.arguments, native=False, agent=agent)):
            asking = FunctionToolApproval("require_approval", tool, tool.on_invoke_tool, call.arguments)
            found = await approve(self, approval_evaluation=asking, **about)
            item, native, approval_evaluation = _interruption(found), False, asking
        if item is None:
            return found
        step = step_of(here, tool, call.call_id, call.arguments, native=native, agent=agent)
        decided = await here.segment.runtime.database.on_journal_thread(verdict, step)
        if decided is None:
            return found
        if decided.rejected is None:
            self.context_wrapper.approve_tool(item)
        else:
            self.context_wrapper.reject_tool(item, rejection_message=decided.rejected)
        return await approve(self, approval_evaluation=approval_evaluation, **about)

    return durable_approve


def _interruption(found: Any) -> ToolApprovalItem | None:
    item = getattr(found, "run_item", None)
    return item if isinstance(item, ToolApprovalItem) else None
