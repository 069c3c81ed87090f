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

from durable.adapters.openai_agents.seams.approvals_policy import arguments_of, step_of
from durable.kit import asks, hook
from durable.live.scope import scope
from durable.step.ahead import decided_ahead

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.step.call import Call


def hook_approvals() -> None:
    """Put the seam in place, once per process."""
    hook(_FunctionToolBatchExecutor, "_maybe_execute_tool_approval", _answered)


def _answered(approve: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_approve(self: Any, *, approval_evaluation: Any, **about: Any) -> Any:
        here = scope()
        found = await approve(self, approval_evaluation=approval_evaluation, **about)
        if here is None:
            return found
        tool, call = about["func_tool"], about["tool_call"]
        item = getattr(found, "run_item", None)
        native = isinstance(item, ToolApprovalItem)
        step = step_of(here, tool, call.call_id, arguments_of(call.arguments), native=native, agent=self.public_agent)
        if found is None and asks(step):
            approval_evaluation = FunctionToolApproval("require_approval", tool, tool.on_invoke_tool, call.arguments)
            found = await approve(self, approval_evaluation=approval_evaluation, **about)
            item = getattr(found, "run_item", None)
        if not await answered(step, item, self.context_wrapper):
            return found
        return await approve(self, approval_evaluation=approval_evaluation, **about)

    return durable_approve


async def answered(step: Call, item: Any, run_context: Any) -> bool:
    """Whether the call that the SDK would interrupt its run for is decided; then the SDK's context says so too."""
    if not isinstance(item, ToolApprovalItem):
        return False
    decided = await step.scope.segment.runtime.database.on_journal_thread(decided_ahead, step)
    if decided is None:
        return False
    if decided.rejected is None:
        run_context.approve_tool(item)
    else:
        run_context.reject_tool(item, rejection_message=decided.rejected)
    return True
