"""Executors: shell, apply-patch, custom and computer tools that run in this process are steps, keyed by their call id.

For one call a twin of the tool is made whose executor is the step, so the SDK's own handling of approvals, errors and
outputs stays around it. A callback that approves (``on_approval``) is asked once, its answer is recorded. What the
tool works on (files, a shell, a browser) is not restored: a recorded call only does not happen again.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agents.run_internal import tool_actions
from agents.run_internal.tool_actions import ComputerAction

from durable.adapters.openai_agents.seams.approvals import answered
from durable.adapters.openai_agents.seams.approvals_policy import natively, step_of
from durable.adapters.openai_agents.seams.local_tool_kinds import (
    COMPUTER,
    EXECUTORS,
    awaited,
    described,
    edited_computer_call,
)
from durable.adapters.openai_agents.seams.results import recordable
from durable.declare.policy import READ
from durable.errors import ToolRejected
from durable.kit import asks, hook
from durable.live.scope import scope
from durable.step.call import Call
from durable.step.crossing import place, run_step_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.adapters.openai_agents.seams.local_tool_kinds import Executor
    from durable.step.call import Pending


def hook_executors() -> None:
    """Put the seams in place, once per process."""
    for kind in EXECUTORS:
        hook(getattr(tool_actions, kind.action), "execute", functools.partial(_executing, kind))
    hook(ComputerAction, "_execute_action_and_capture", _capturing)


def _executing(kind: Executor, execute: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_execute(*, call: Any, context_wrapper: Any, **about: Any) -> Any:
        here = scope()
        if here is None:
            return await execute(call=call, context_wrapper=context_wrapper, **about)
        tool = getattr(call, kind.tool)
        if getattr(tool, kind.executor) is None:  # hosted: it ran at the provider
            return await execute(call=call, context_wrapper=context_wrapper, **about)
        call_id, arguments = described(call.tool_call)
        agent = about["agent"]
        step = step_of(here, tool, call_id, arguments, native=natively(here, call_id), agent=agent)
        twin = _twin(kind, tool, call.tool_call, step)
        if asks(step) and hasattr(twin, "needs_approval"):
            twin.needs_approval, twin.on_approval = True, None
        again = {"call": replace(call, **{kind.tool: twin}), "context_wrapper": context_wrapper, **about}
        found = await execute(**again)
        asked = step_of(here, tool, call_id, arguments, native=True, agent=agent)
        return await execute(**again) if await answered(asked, found, context_wrapper) else found

    return durable_execute


def _twin(kind: Executor, tool: Any, raw: Any, step: Call) -> Any:
    twin = object.__new__(type(tool))
    twin.__dict__.update(tool.__dict__)

    async def perform(act: Callable[[Any], Any]) -> Any:
        """Run ``act`` as the step; it is given the arguments if a person has edited them, else None."""
        live: list[Any] = []

        async def body(pending: Pending) -> Any:
            live.append(await awaited(act(pending.arguments if pending.edited else None)))
            return recordable(step.scope.segment.runtime, live[-1])

        try:
            recorded = await run_step_async(place(step), body)
        except ToolRejected as rejected:
            return rejected.reason
        return live[-1] if live else recorded

    setattr(twin, kind.executor, kind.durable(tool, raw, perform))
    if getattr(tool, "on_approval", None) is not None:
        twin.on_approval = functools.partial(_approved, tool.on_approval, step)
    return twin


async def _approved(on_approval: Callable[..., Any], step: Call, context: Any, item: Any) -> Any:
    async def body(_: Any) -> Any:
        return await awaited(on_approval(context, item))

    call = Call("on_approval", policy=READ, identity=f"{step.identity}/on_approval", scope=step.scope)
    return await run_step_async(place(call), body)


def _capturing(capture: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_capture(computer: Any, tool_call: Any) -> Any:
        here = scope()
        if here is None:
            return await capture(computer, tool_call)
        call_id, arguments = described(tool_call)

        async def body(pending: Pending) -> Any:
            given = edited_computer_call(tool_call, pending.arguments) if pending.edited else tool_call
            return await capture(computer, given)

        step = step_of(here, COMPUTER, call_id, arguments, native=False, agent=None)
        return await run_step_async(place(step), body)

    return durable_capture
