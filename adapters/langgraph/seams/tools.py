"""Tools: every ``BaseTool`` that runs inside a durable execution is a step, wherever it is called from.

The seam is ``BaseTool.run`` / ``arun``: ToolNode, middleware, ``create_agent`` and a ``tool.invoke`` by hand all
pass through it, and what they do around it (error handling, message building, hooks) happens again on a replay. The
methods are hooked once, and do nothing outside of executions. A call that a model made is keyed by its tool call
id, one by hand by name and number.

The arguments that are recorded, hashed and decided upon are those the model sees; what the framework injects is not.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langchain_core.tools.base import _format_output
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Command

from durable.adapters.langgraph.seams.call_ids import identity_of
from durable.adapters.langgraph.seams.call_scope import framed
from durable.adapters.langgraph.seams.questions import open_native
from durable.adapters.langgraph.seams.suspension import graph_interrupt
from durable.declare.policy import ToolPolicy
from durable.declare.signature import policy_of
from durable.errors import Suspended, ToolRejected
from durable.inbox.schemas import lenient, of_model
from durable.kit import Tool, arguments_of, hook, tool_call
from durable.live.scope import scope
from durable.step.call import Pending
from durable.step.crossing import place, run_step, run_step_async

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.step.call import Pending, Placed


def hook_tools() -> None:
    """Put the hooks in place, once per process."""
    hook(BaseTool, "run", _running)
    hook(BaseTool, "arun", _arunning)


def _running(run: Callable[..., Any]) -> Callable[..., Any]:
    def durable_run(self: BaseTool, tool_input: Any, *args: Any, **options: Any) -> Any:
        step = _step(self, tool_input, options)
        if step is None:
            return run(self, tool_input, *args, **options)
        segment = step.segment

        def body(pending: Pending) -> Any:
            with framed(pending, arguments_of(pending, tool_input), options) as (given, framed_options):
                try:
                    return run(self, given, *args, **framed_options)
                except GraphInterrupt as exc:
                    open_native(segment, exc, step.key)
                    raise

        try:
            return _formatted(self, options.get("tool_call_id"), run_step(step, body))
        except ToolRejected as rejected:
            return _rejection(self, options.get("tool_call_id"), rejected)
        except Suspended:
            raise graph_interrupt(segment, step.key) from None

    return durable_run


def _arunning(arun: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_arun(self: BaseTool, tool_input: Any, *args: Any, **options: Any) -> Any:
        step = _step(self, tool_input, options)
        if step is None:
            return await arun(self, tool_input, *args, **options)
        segment = step.segment

        async def body(pending: Pending) -> Any:
            with framed(pending, arguments_of(pending, tool_input), options) as (given, framed_options):
                try:
                    return await arun(self, given, *args, **framed_options)
                except GraphInterrupt as exc:
                    await segment.runtime.database.on_journal_thread(open_native, segment, exc, step.key)
                    raise

        try:
            return _formatted(self, options.get("tool_call_id"), await run_step_async(step, body))
        except ToolRejected as rejected:
            return _rejection(self, options.get("tool_call_id"), rejected)
        except Suspended:
            raise graph_interrupt(segment, step.key) from None

    return durable_arun


def _step(tool: BaseTool, tool_input: Any, options: Mapping[str, Any]) -> Placed | None:
    here, tool_call_id = scope(), options.get("tool_call_id")
    if here is None or here.runs(tool):
        return None
    agent = str((options.get("metadata") or {}).get("lc_agent_name") or "")
    arguments = visible(tool, tool_input)
    about = Tool(
        tool.name,
        getattr(tool, "func", None) or getattr(tool, "coroutine", None),
        own=policy_of(tool) or _of_metadata(tool),
        object=tool,
        properties=tool.args,
        tags=tuple(tool.tags or ()),
    )
    call = tool_call(
        here,
        about,
        arguments,
        identity=None if tool_call_id is None else identity_of(here, tool_call_id, tool.name, arguments),
        agent=agent,
        schema=functools.partial(_schema, tool, arguments),
        control_flow=(GraphBubbleUp,),
    )
    return place(call)


def visible(tool: BaseTool, tool_input: Any) -> Any:
    """The arguments as the model gave them, without what LangGraph injects (state, store, runtime, call id)."""
    if not isinstance(tool_input, dict):
        return tool_input
    shown = set(tool.args)
    return {key: value for key, value in tool_input.items() if key in shown}


def _schema(tool: BaseTool, arguments: Any) -> Any:
    found = tool.tool_call_schema
    return lenient(found) if isinstance(found, dict) else of_model(found, arguments)


def _of_metadata(tool: BaseTool) -> ToolPolicy | None:
    found = (tool.metadata or {}).get("durable")
    return found if isinstance(found, ToolPolicy) else None


def _formatted(tool: BaseTool, tool_call_id: str | None, result: Any) -> Any:
    """A result that a person or ``reconcile`` gave in place of the tool's, as the message the model is to get."""
    if isinstance(result, ToolMessage) and tool_call_id not in {None, result.tool_call_id}:
        return result.model_copy(update={"tool_call_id": tool_call_id})  # taken from an earlier call's record
    if tool_call_id is None or isinstance(result, (ToolMessage, Command)):
        return result
    if isinstance(result, list) and all(isinstance(item, (ToolMessage, Command)) for item in result):
        return result
    return _format_output(result, None, tool_call_id, tool.name, "success")


def _rejection(tool: BaseTool, tool_call_id: str | None, rejected: ToolRejected) -> Any:
    if tool_call_id is None:
        raise rejected
    return ToolMessage(str(rejected), name=tool.name, tool_call_id=tool_call_id, status="error")
