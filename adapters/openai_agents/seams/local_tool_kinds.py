"""Local tools: what a call of each kind says, and the twin of its executor that performs it as one step.

A person who edits a call edits what is described here.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

from agents.editor import ApplyPatchResult
from agents.run_internal.tool_execution import (
    coerce_apply_patch_operations,
    coerce_shell_call,
    normalize_apply_patch_result,
)
from pydantic import BaseModel

from durable.adapters.openai_agents.seams.approvals_policy import arguments_of

if TYPE_CHECKING:
    from agents.tool import LocalShellCommandRequest, ShellCommandRequest
    from agents.tool_context import ToolContext

Perform = Callable[[Callable[[Any], Any]], Awaitable[Any]]
"""Runs a function as the step of the call; it is given the arguments if a person has edited them, else None."""

COMPUTER = SimpleNamespace(name="computer")
"""What policies and rows call every computer tool; the SDK's own name for it differs by the model."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Where the SDK runs a kind of tool: its action, the field of the call that holds the tool, and of the executor."""

    action: str
    tool: str
    executor: str
    durable: Callable[[Any, Any, Perform], Any]


def described(raw: Any) -> tuple[str, Any]:
    """The id and the arguments of a call as the model made it, of a function or of a local tool."""
    about = _plain(raw)
    call_id = str(about.get("call_id") or about.get("id"))
    if about.get("arguments") is not None:
        given = about["arguments"]
        return call_id, arguments_of(given) if isinstance(given, str) else given
    if about.get("operation") is not None:
        return call_id, {"operations": [about["operation"]]}
    for many in ("operations", "actions", "input"):
        if about.get(many) is not None:
            return call_id, {many: about[many]}
    action = about.get("action")
    return call_id, {"actions": [action]} if about.get("type") == "computer_call" else action or {}


async def awaited(result: Any) -> Any:
    """What the SDK accepts as a result: a value, or something to be awaited."""
    return await result if inspect.isawaitable(result) else result


def _plain(raw: Any) -> dict[str, Any]:
    if isinstance(raw, BaseModel):
        return raw.model_dump(mode="json", exclude_unset=True, warnings=False)
    return dict(raw if isinstance(raw, Mapping) else vars(raw))


def edited_computer_call(tool_call: Any, arguments: Mapping[str, Any]) -> Any:
    """The call with the actions a person has put in the place of the model's."""
    return tool_call.model_copy(update={"actions": arguments["actions"], "action": None})


def _shell(tool: Any, _: Any, perform: Perform) -> Any:
    async def executor(request: ShellCommandRequest) -> Any:
        def act(edited: Any) -> Any:
            if edited is None:
                return tool.executor(request)
            action = coerce_shell_call({"call_id": request.data.call_id, "action": edited}).action
            return tool.executor(replace(request, data=replace(request.data, action=action)))

        return await perform(act)

    return executor


def _local_shell(tool: Any, _: Any, perform: Perform) -> Any:
    async def executor(request: LocalShellCommandRequest) -> Any:
        def act(edited: Any) -> Any:
            if edited is None:
                return tool.executor(request)
            action = request.data.action.model_copy(update=dict(edited))
            return tool.executor(replace(request, data=request.data.model_copy(update={"action": action})))

        return await perform(act)

    return executor


def _custom(tool: Any, _: Any, perform: Perform) -> Any:
    async def on_invoke_tool(context: ToolContext[Any], given: str) -> Any:
        def act(edited: Any) -> Any:
            if edited is None:
                return tool.on_invoke_tool(context, given)
            told = copy.copy(context)
            told.tool_arguments = edited["input"]
            return tool.on_invoke_tool(told, edited["input"])

        return await perform(act)

    return on_invoke_tool


class _Editor:
    """An editor for one call: its first operation performs them all, so that the call is one step."""

    def __init__(self, tool: Any, raw: Any, perform: Perform) -> None:
        self._tool, self._raw, self._perform = tool, raw, perform
        self._performed = False

    async def create_file(self, operation: Any) -> Any:
        if self._performed:
            return None
        self._performed = True
        return await self._perform(lambda edited: self._all(operation.ctx_wrapper, edited))

    update_file = delete_file = create_file

    async def _all(self, run_context: Any, edited: Any) -> ApplyPatchResult:
        results = []
        for operation in coerce_apply_patch_operations(edited or self._raw, context_wrapper=run_context):
            act = getattr(self._tool.editor, operation.type)
            results.append(normalize_apply_patch_result(await awaited(act(operation))) or ApplyPatchResult())
        failed = any(one.status == "failed" for one in results)
        status: Literal["completed", "failed"] = "failed" if failed else "completed"
        return ApplyPatchResult(status=status, output="\n".join(one.output for one in results if one.output))


EXECUTORS = (
    Executor("ShellAction", "shell_tool", "executor", _shell),
    Executor("LocalShellAction", "local_shell_tool", "executor", _local_shell),
    Executor("CustomToolAction", "custom_tool", "on_invoke_tool", _custom),
    Executor("ApplyPatchAction", "apply_patch_tool", "editor", _Editor),
)
