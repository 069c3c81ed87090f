"""Gates: which tool calls need a person's decision, and what was decided.

A call is gated by the policy of its tool, or by the SDK's own ``needs_approval``. Both are one row of the inbox, at
the step of the call and bound to its arguments; approval flags in a ``RunState`` or a session open no gate. The SDK
evaluates ``needs_approval`` itself, with its fail-closed check of the arguments, and what it found is remembered here.
"""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agents.run_internal import tool_execution, turn_resolution

from durable.declare.policy import Approval
from durable.declare.signature import policy_of
from durable.inbox.schemas import fitting, lenient
from durable.kit import Tool, asks, hook, tool_call
from durable.live.scope import scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.live.scope import Scope
    from durable.live.segment import Segment
    from durable.step.call import Call

NATIVE = "needs_approval"
"""The rule that a row names if the SDK's own setting asked, and no policy."""


def hook_gates() -> None:
    """Put the seams in place, once per process."""
    for module in (tool_execution, turn_resolution):
        hook(module, "function_needs_approval", _remembered)


def _remembered(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    async def remembering(function_tool: Any, context_wrapper: Any, tool_call: Any) -> Any:
        found = await evaluate(function_tool, context_wrapper, tool_call)
        here = scope()
        if here is not None:
            _asked(here.segment)[key_of(here, tool_call.call_id)] = found.outcome == "require_approval"
        return found

    return remembering


def _asked(segment: Segment) -> dict[str, bool]:
    found: dict[str, bool] = segment.attachments.setdefault("openai_agents.needs_approval", {})
    return found


def key_of(here: Scope, call_id: str) -> str:
    """The step key of a tool call."""
    return f"{here.path}/tool:{call_id}".lstrip("/")


def arguments_of(given: str) -> Any:
    """The arguments as the model gave them: parsed, or the text itself if it is no JSON."""
    try:
        return json.loads(given) if given else {}
    except ValueError:
        return given


def name_of(tool: Any) -> str:
    """The name of a tool as policies and rows have it: with its namespace, where it has one."""
    return str(getattr(tool, "qualified_name", None) or tool.name)


def step_of(  # noqa: PLR0913 - a tool call as the SDK has it
    here: Scope, tool: Any, call_id: str, arguments: Any, *, native: bool, agent: Any
) -> Call:
    """The step of a tool call; ``native`` says that the SDK's own setting asks for approval."""
    properties = getattr(tool, "params_json_schema", {}).get("properties", {})
    about = Tool(
        name_of(tool), getattr(tool, "__wrapped__", None), policy_of(tool), properties=properties, also=tool.name
    )
    call = tool_call(
        here,
        about,
        arguments,
        identity=f"tool:{call_id}",
        agent=str(getattr(agent, "name", "")),
        schema=functools.partial(_schema, tool, arguments, native=native),
    )
    if native and not asks(call):
        return replace(call, policy=replace(call.policy, approval=Approval(rule=NATIVE)))
    return call


def _schema(tool: Any, arguments: Any, *, native: bool) -> Mapping[str, Any] | None:
    """None for what is no JSON object, for tools without a schema, and for what does not fit where the SDK itself asks.

    That is its own, fail-closed check: a person sees arguments that it does not understand, they are not refused here.
    """
    schema = getattr(tool, "params_json_schema", None)
    if schema is None or not isinstance(arguments, dict):
        return None
    return fitting(lenient(schema), arguments) if native else lenient(schema)


def natively(here: Scope, call_id: str) -> bool:
    """Whether the SDK's own setting asks for approval of this call.

    It does not ask where a ``RunState`` of the caller says ``always_approve``: that is the caller's own decision. A
    call that the inbox knows is decided there all the same.
    """
    key = key_of(here, call_id)
    outcome = here.segment.replay.steps.get(key)
    return _asked(here.segment).get(key, False) or (outcome is not None and outcome.interrupt is not None)
