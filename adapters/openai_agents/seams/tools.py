"""Tools: every function tool that an agent calls inside a durable execution is a step.

The seam lies where the SDK invokes a tool, after its approval and input guardrails. The tool itself stays untouched:
for one call a twin is made whose implementation is the step, below the tool's own failure handling, so that what the
model is told of an error is made again on a replay. Tools of MCP servers come by here as well. A call is keyed by its
call id.

A sub-agent given ``as_tool`` is no step: its run is entered again, and finds its own steps.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agents.exceptions import ToolTimeoutError
from agents.run_internal import tool_execution
from agents.tool import (
    _FailureHandlingFunctionToolInvoker,
    _FunctionToolInvocationResult,
    _get_function_tool_invoke_context,
    default_tool_timeout_error_message,
)

from durable.adapters.openai_agents.seams.approvals_policy import arguments_of, key_of, natively, step_of
from durable.adapters.openai_agents.seams.results import CalledOff, recordable
from durable.adapters.openai_agents.seams.run_scope import own_run
from durable.adapters.openai_agents.state.run_context import Watch, replayed
from durable.errors import Suspended, ToolRejected
from durable.kit import asks, hook
from durable.live.scope import running, scope, within
from durable.step.crossing import place, run_step_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agents.tool_context import ToolContext

    from durable.live.scope import Scope
    from durable.live.segment import Segment
    from durable.step.call import Call, Pending

_ENTERED = "durable.entered"
"""What the gate of a sub-agent records when it was passed; a person's answer in its place is recorded as it is."""


class _TimedOut(BaseException):
    """The SDK's timeout of a tool is over: past the failure handler, to where the SDK tells the model."""


def hook_tools() -> None:
    """Put the seam in place, once per process."""
    hook(tool_execution, "_invoke_function_tool_with_metadata", _invoked)


def _invoked(invoke: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_invoke(*, function_tool: Any, context: Any, arguments: str) -> Any:
        here = scope()
        if here is None:
            return await invoke(function_tool=function_tool, context=context, arguments=arguments)
        try:
            return await invoke(function_tool=_twin(function_tool, here), context=context, arguments=arguments)
        except _TimedOut:
            return await _told_of_timeout(function_tool, context)

    return durable_invoke


def _twin(tool: Any, here: Scope) -> Any:
    """The tool for one call, with a durable implementation; of the same class and settings, without its constructor."""
    twin = object.__new__(type(tool))
    twin.__dict__.update(tool.__dict__)
    invoker, is_agent = tool.on_invoke_tool, getattr(tool, "_is_agent_tool", False)
    durable = _agent if is_agent else _function
    if isinstance(invoker, _FailureHandlingFunctionToolInvoker):
        implementation = functools.partial(durable, tool, here, invoker._invoke_tool_impl)
        twin.on_invoke_tool = _FailureHandlingFunctionToolInvoker(
            implementation, invoker._on_handled_error, function_tool=tool
        )
    else:
        implementation = functools.partial(durable, tool, here, invoker)

        async def on_invoke_tool(context, arguments):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the SDK reads the annotation, and would strip the context
            return await implementation(context, arguments)

        twin.on_invoke_tool = on_invoke_tool
    if not is_agent:
        twin.timeout_seconds = None  # held inside the step, which records that it was over
    return twin


async def _function(
    tool: Any, here: Scope, run: Callable[[Any, str], Awaitable[Any]], context: ToolContext[Any], arguments: str
) -> Any:
    step = place(_step(tool, here, context, arguments))
    live: list[Any] = []

    async def body(pending: Pending) -> Any:
        given = _edited(context, pending)
        seen, watch = _get_function_tool_invoke_context(tool, given), Watch(here.segment.runtime, context.context)
        live.append(await _called(tool, run(seen, given.tool_arguments if pending.edited else arguments)))
        if waits_below(here.segment, step.key):
            raise Suspended
        return watch.recorded(recordable(here.segment.runtime, live[-1]))

    try:
        recorded = await run_step_async(step, body)
    except ToolRejected as rejected:
        return rejected.reason
    except ToolTimeoutError as over:
        if tool.timeout_seconds is not None and over.timeout_seconds == tool.timeout_seconds:
            raise _TimedOut from over
        raise
    except CalledOff:
        raise asyncio.CancelledError from None
    return live[-1] if live else replayed(recorded, context.context)


def _step(tool: Any, here: Scope, context: ToolContext[Any], arguments: str) -> Call:
    native = natively(here, context.tool_call_id)
    given = arguments_of(arguments)
    return step_of(here, tool, context.tool_call_id, given, native=native, agent=context.agent)


def waits_below(segment: Segment, key: str) -> bool:
    """Whether a call inside this step waits for an answer, although the SDK, or the tool, went on without it."""
    return any(asked.step_key.startswith(key + "/") for asked in list(segment.waiting.values()))


def _edited(context: ToolContext[Any], pending: Pending) -> ToolContext[Any]:
    if not pending.edited:
        return context
    edited = copy.copy(context)
    edited.tool_arguments = json.dumps(pending.arguments)
    edited._function_tool_arguments = None
    return edited


async def _called(tool: Any, result: Awaitable[Any]) -> Any:
    try:
        return await _in_time(tool, result)
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise CalledOff(tool.name) from exc


async def _in_time(tool: Any, result: Awaitable[Any]) -> Any:
    seconds = tool.timeout_seconds
    try:
        async with asyncio.timeout(seconds) as limit:
            return await result
    except TimeoutError as exc:
        if not limit.expired() or seconds is None:
            raise
        raise ToolTimeoutError(tool_name=tool.name, timeout_seconds=seconds) from exc


async def _told_of_timeout(tool: Any, context: Any) -> Any:
    """What the SDK does when its own timeout is over."""
    over = ToolTimeoutError(tool_name=tool.name, timeout_seconds=tool.timeout_seconds)
    if tool.timeout_behavior == "raise_exception":
        raise over
    if tool.timeout_error_function is None:
        text = default_tool_timeout_error_message(tool_name=tool.name, timeout_seconds=tool.timeout_seconds)
        return _FunctionToolInvocationResult(text, is_sdk_generated_error=True)
    told = tool.timeout_error_function(context, over)
    return _FunctionToolInvocationResult(await told if inspect.isawaitable(told) else told)


async def _agent(
    tool: Any, here: Scope, run: Callable[[Any, str], Awaitable[Any]], context: ToolContext[Any], arguments: str
) -> Any:
    call = _step(tool, here, context, arguments)
    if call.policy.guarded or asks(call):
        passed = await _pass(call)
        if not (isinstance(passed, dict) and _ENTERED in passed):
            return passed
        arguments = arguments if passed[_ENTERED] is None else json.dumps(passed[_ENTERED])
    below = replace(here, path=key_of(here, context.tool_call_id), bodies=(), line=running())
    with within(below), own_run():
        return await run(context, arguments)


async def _pass(call: Call) -> Any:
    """Use the decision on a sub-agent up, in a step of its own: what is decided in its place, or that it is entered."""

    async def entered(pending: Pending) -> Any:
        return {_ENTERED: pending.arguments if pending.edited else None}

    step = place(replace(call, policy=replace(call.policy, effect="read", reconcile=None)))
    try:
        return await run_step_async(step, entered)
    except ToolRejected as rejected:
        return rejected.reason
