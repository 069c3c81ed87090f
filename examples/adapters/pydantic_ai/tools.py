"""Tools: every tool call is a step, keyed by its call id, governed by its policy and decided in the one inbox.

The seam lies below the framework's hooks and its validation: what is decided on are the arguments the tool will see.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.toolsets import WrapperToolset
from pydantic_core import to_jsonable_python

from durable.errors import CodecError, Suspended, ToolRejected
from durable.kit import (
    Tool,
    always_asked,
    here,
    lenient,
    others_first,
    place,
    policy_of,
    run_step_async,
    tool_call,
)

if TYPE_CHECKING:
    from pydantic_ai.tools import RunContext
    from pydantic_ai.toolsets import ToolsetTool

    from durable.kit import Pending

NATIVE = "requires_approval"
"""The rule that a question names if the framework's own setting asked, and no policy."""


class DurableToolset(WrapperToolset[Any]):
    """All tools of an agent for one execution."""

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """Return the tools; those with ``requires_approval`` come by here like others, and are asked about here."""
        tools = await self.wrapped.get_tools(ctx)
        return {name: _called_at_once(tool) for name, tool in tools.items()}

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        """Call the tool, or return what is recorded of the call. What a person refuses is a failed result."""

        async def body(pending: Pending) -> Any:
            edited = tool.args_validator.validate_python(pending.arguments) if pending.edited else tool_args
            allowed = replace(ctx, tool_call_approved=True)
            return recordable(await self.wrapped.call_tool(name, edited, allowed, tool))

        call = _call(name, tool_args, ctx, tool)
        try:
            return await run_step_async(place(call), body)
        except Suspended:
            await others_first(call.scope)  # the framework cancels the calls beside one that raises
            raise
        except ToolRejected as rejected:
            raise ToolFailed(rejected.reason) from None


def recordable(result: Any) -> Any:
    """Return the result itself if it survives storage, else what the model is told of it."""
    try:
        here().segment.runtime.codec.encode(result)
    except CodecError:
        return to_jsonable_python(result, fallback=str)
    return result


def _called_at_once(tool: ToolsetTool[Any]) -> ToolsetTool[Any]:
    if tool.tool_def.kind != "unapproved":
        return tool
    metadata = {**(tool.tool_def.metadata or {}), NATIVE: True}
    return replace(tool, tool_def=replace(tool.tool_def, kind="function", metadata=metadata))


def _call(name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]) -> Any:
    function, schema = _function_of(tool), tool.tool_def.parameters_json_schema
    given = {key: value for key, value in tool_args.items() if key in _given(ctx)}
    call = tool_call(
        here(),
        Tool(name, function, policy_of(function), schema.get("properties", {})),
        given,
        identity=f"tool:{ctx.tool_call_id}",
        agent=str(ctx.agent.name if ctx.agent else ""),
        schema=partial(lenient, schema),
    )
    if (tool.tool_def.metadata or {}).get(NATIVE):
        return replace(call, policy=always_asked(call.policy, NATIVE))
    return call


def _function_of(tool: ToolsetTool[Any]) -> Any:
    """Return the function of a function tool; None for a tool of another kind, as an MCP server's."""
    while (source := getattr(tool, "source_tool", None)) is not None:  # it is one of several toolsets
        tool = source
    return getattr(getattr(getattr(tool, "call_func", None), "__self__", None), "function", None)


def _given(ctx: RunContext[Any]) -> dict[str, Any]:
    """Return the arguments as the model gave them, before the tool's defaults were filled in."""
    for message in reversed(ctx.messages):
        for part in message.parts if isinstance(message, ModelResponse) else ():
            if isinstance(part, ToolCallPart) and part.tool_call_id == ctx.tool_call_id:
                return part.args_as_dict()
    return {}
