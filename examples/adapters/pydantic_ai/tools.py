"""Tools: every tool call is a step, keyed by its call id, governed by its policy and decided in the one inbox.

The seam lies below the framework's hooks and its validation: what is decided on are the arguments the tool will see.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.toolsets import WrapperToolset

from durable.declare.policy import Approval
from durable.declare.signature import plain, policy_of
from durable.errors import Suspended, ToolRejected
from durable.inbox.schemas import lenient
from durable.kit import others_first
from durable.live.scope import here
from durable.step.call import StepCall
from durable.step.governing import governing
from durable.step.shells import run_step_async

if TYPE_CHECKING:
    from pydantic_ai.tools import RunContext
    from pydantic_ai.toolsets import ToolsetTool

    from durable.step.call import Pending

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
            arguments = tool_args
            if pending.edited:
                arguments = tool.args_validator.validate_python(pending.arguments)
            allowed = replace(ctx, tool_call_approved=True)
            return await self.wrapped.call_tool(name, arguments, allowed, tool)

        call = _step(name, tool_args, ctx, tool)
        try:
            return await run_step_async(call, body)
        except Suspended:
            await others_first(call.scope)  # the framework cancels the calls beside one that raises
            raise
        except ToolRejected as rejected:
            raise ToolFailed(rejected.reason) from None


def _called_at_once(tool: ToolsetTool[Any]) -> ToolsetTool[Any]:
    if tool.tool_def.kind != "unapproved":
        return tool
    metadata = {**(tool.tool_def.metadata or {}), NATIVE: True}
    return replace(tool, tool_def=replace(tool.tool_def, kind="function", metadata=metadata))


def _step(name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]) -> StepCall:
    scope, function, agent = here(), _function_of(tool), str(ctx.agent.name if ctx.agent else "")
    policy = governing(scope, name, policy_of(function), agent=agent)
    if policy.gate is None and (tool.tool_def.metadata or {}).get(NATIVE):
        policy = replace(policy, approval=Approval(rule=NATIVE))
    left_out = tool_args.keys() - _given(ctx).keys()
    return StepCall(
        name,
        arguments={key: value for key, value in tool_args.items() if key not in left_out},
        defaults={key: value for key, value in tool_args.items() if key in left_out},
        policy=policy,
        identity=f"tool:{ctx.tool_call_id}",
        kind="tool",
        schema=functools.partial(lenient, tool.tool_def.parameters_json_schema),
        agent=agent,
        aliases=(str(getattr(plain(function), "__name__", name)),),
        scope=scope,
    )


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
