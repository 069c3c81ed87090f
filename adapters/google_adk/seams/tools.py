"""Tools: every ADK tool that runs inside a durable execution is a step, wherever it is called from.

The seam is ``run_async``, below ADK's callbacks and its confirmation gate: functions, MCP, OpenAPI, agents as tools and
tools in a workflow all pass through it, and what ADK does around it happens again when a call is answered from the
journal. Recorded with the result are the ``actions`` (state, artifacts, transfer, escalation), and restored with it.

``require_confirmation`` is asked here, as an approval of ours: what a client's message or a session says about a
confirmation counts for nothing. A confirmation that a tool asks for itself pauses the invocation as in ADK; see
``questions``.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from google.adk.flows.llm_flows.tools import _caller
from google.adk.tools.agent_tool import AgentTool
from google.adk.tools.base_tool import BaseTool
from google.adk.tools.tool_confirmation import ToolConfirmation
from google.adk.workflow._errors import NodeInterruptedError
from pydantic_core import to_jsonable_python

from durable.adapters.google_adk.seams.actions import actions_of, restore
from durable.adapters.google_adk.seams.confirmations import believed, node_call
from durable.adapters.google_adk.seams.lazy import loaded
from durable.adapters.google_adk.seams.questions import REQUIRED
from durable.checkpoint.codec.names import stored_as
from durable.declare.policy import READ, ToolPolicy
from durable.declare.signature import policy_of
from durable.errors import CodecError, Suspended, ToolRejected, Unsupported
from durable.inbox.schemas import lenient
from durable.kit import Tool, always_asked, arguments_of, hook, others_first, tool_call
from durable.live.scope import scope, within
from durable.record.kinds import AGENT, TOOL
from durable.step.call import Pending
from durable.step.crossing import place, run_step_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.adk.tools.tool_context import ToolContext

    from durable.checkpoint.codec.codec import Codec
    from durable.live.scope import Scope
    from durable.step.call import Pending, Placed

_GATE = "apply_confirmation_gate"
_NODES = "google.adk.workflow._tool_node"
"""Not imported here: it would load a web server's library, which an app without a workflow does not need."""
_STEERING = frozenset({
    "transfer_to_agent", "exit_loop", "finish_task", "set_model_response", "get_user_choice",
    "load_memory", "preload_memory", "load_artifacts",
})  # fmt: skip
"""ADK's own tools that only steer or read: run again after a crash."""


@stored_as("durable.adapters.google_adk.tools:ToolAnswer")
@dataclass(frozen=True)
class ToolAnswer:
    """What a call came to: what the tool returned, and the actions it took."""

    result: Any = None
    actions: dict[str, Any] = field(default_factory=dict)

    @property
    def tool_result(self) -> Any:
        """What ``compensate=`` of the tool is given."""
        return self.result


class Paused(BaseException):
    """The tool has asked for something and is to run again with the answer: it has no outcome yet."""

    def __init__(self, result: Any) -> None:
        self.result = result
        super().__init__(result)


def hook_tools() -> None:
    """Put the hooks in place where ADK calls tools, as far as that is loaded."""
    for module in (_caller, loaded(_NODES, _GATE)):
        if module is not None:
            hook(module, _GATE, _durable_gate)


def _durable_gate(gate: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def durable_gate(tool: BaseTool, function_args: dict[str, Any], tool_context: ToolContext) -> Any:
        if scope() is None or tool._defers_response:
            return await gate(tool, function_args, tool_context)
        hook_class(type(tool))
        return None  # asked in the step: the arguments may still be edited there

    return durable_gate


def hook_class(cls: type[BaseTool]) -> None:
    """Make ``run_async`` of this class of tools, and of those it is made from, a step."""
    for base in cls.__mro__:
        if base is not BaseTool and "run_async" in base.__dict__:
            hook(base, "run_async", _durable)


def _durable(run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def durable_run(self: BaseTool, *, args: dict[str, Any], tool_context: ToolContext) -> Any:
        here = scope()
        if here is None or here.runs(self) or self._defers_response:
            return await run(self, args=args, tool_context=tool_context)
        return await _as_step(functools.partial(run, self), self, args, tool_context)

    return durable_run


async def _as_step(
    run: Callable[..., Awaitable[Any]], tool: BaseTool, args: dict[str, Any], context: ToolContext
) -> Any:
    needs_confirmation = await tool.check_require_confirmation(args, context) is True
    step = _step(tool, args, context, needs_confirmation=needs_confirmation)
    if context.tool_confirmation is not None:
        context.tool_confirmation = _believed(step.scope, context)
    before, ran = context.actions.model_copy(deep=True), list[bool]()

    async def body(pending: Pending) -> ToolAnswer:
        ran.append(True)
        if needs_confirmation:  # given by the decision on this step, without which nothing comes here
            context.tool_confirmation = ToolConfirmation(confirmed=True)
        with within(_inside(tool, pending)):
            result = await run(args=arguments_of(pending, args), tool_context=context)
        _refuse_credentials(tool, context)
        if context.function_call_id in context.actions.requested_tool_confirmations:
            raise Paused(result)
        return ToolAnswer(as_kept(step.scope.segment.runtime.codec, result), actions_of(context, before))

    try:
        answer: Any = await run_step_async(step, body)
    except Paused as paused:
        return paused.result
    except ToolRejected as rejected:
        return {"error": str(rejected)}
    except Suspended:
        await others_first(step.scope)
        raise
    if not isinstance(answer, ToolAnswer):
        return answer  # given by a person, or by reconcile, in place of the tool's
    if not ran:
        restore(context, answer.actions)
    return answer.result


def _step(tool: BaseTool, args: dict[str, Any], context: ToolContext, *, needs_confirmation: bool) -> Placed:
    here = scope()
    assert here is not None  # noqa: S101 - looked at by the caller
    is_place = _is_place(tool)
    function = getattr(tool, "func", None)
    own = policy_of(tool) or policy_of(function) or _default(tool)
    about = Tool(tool.name, function, own, object=tool, hidden=getattr(tool, "_ignore_params", ()))
    call = tool_call(
        here,
        about,
        args,
        identity=_identity(context),
        agent=context.agent_name,
        kind=AGENT if is_place else TOOL,
        schema=functools.partial(_schema, tool),
        control_flow=(Paused, NodeInterruptedError),
    )
    if needs_confirmation:
        call = replace(call, policy=always_asked(call.policy, REQUIRED))
    return place(call)


def _inside(tool: BaseTool, pending: Pending) -> Scope:
    """Return the scope of the tool's body: of a plain function one in which calls cannot be awaited."""
    scope_of_body = pending.scope()
    if pending.call.kind.is_scope:  # an agent as a tool is a place for steps: a tool in it may have its name
        return replace(scope_of_body, bodies=())
    function = getattr(tool, "func", None)
    is_async = any(map(inspect.iscoroutinefunction, (function, getattr(function, "__call__", None))))  # noqa: B004
    return replace(scope_of_body, is_plain=function is not None and not is_async)


def as_kept(codec: Codec, result: Any) -> Any:
    """Return a result as ADK keeps it in a session: as JSON, what of it has a type that only the tool knows."""
    if isinstance(result, dict):
        return {key: _plain(codec, value) for key, value in result.items()}
    plain = _plain(codec, result)
    return {"result": plain} if isinstance(plain, dict) else plain


def _plain(codec: Codec, value: Any) -> Any:
    try:
        codec.encode(value)
    except CodecError:
        return to_jsonable_python(value, fallback=repr)
    return value


def _schema(tool: BaseTool) -> dict[str, Any] | None:
    declared = tool._get_declaration()
    found = None if declared is None else declared.parameters_json_schema
    return lenient(found) if isinstance(found, dict) else None


def _believed(here: Scope, context: ToolContext) -> ToolConfirmation | None:
    decided = believed(here.segment, context.function_call_id) or believed(here.segment, node_call(context))
    return None if decided is None else ToolConfirmation.model_validate(decided)


def _is_place(tool: BaseTool) -> bool:
    """Whether the tool is an agent or a node, whose own calls are steps: it is entered again after a crash."""
    nodes = loaded("google.adk.tools._node_tool", "NodeTool")
    return isinstance(tool, AgentTool) or (nodes is not None and isinstance(tool, nodes.NodeTool))


def _default(tool: BaseTool) -> ToolPolicy:
    return READ if tool.name in _STEERING else ToolPolicy()


def _identity(context: ToolContext) -> str | None:
    """The model's call id; of a tool that is a node of a workflow, its place there."""
    nodes = loaded(_NODES, "_ToolNode")
    if nodes is not None and isinstance(context.node, nodes._ToolNode):
        return f"node:{context.node_path}"
    return None if context.function_call_id is None else f"tool:{context.function_call_id}"


def _refuse_credentials(tool: BaseTool, context: ToolContext) -> None:
    if context.function_call_id in context.actions.requested_auth_configs:
        msg = (
            f"{tool.name} asks the user for credentials (adk_request_credential), which would be kept in the session: "
            "declare secrets=(...) in its policy and read them from durable.ToolContext instead"
        )
        raise Unsupported(msg)
