"""Function nodes of a workflow: each is a step, static or made by ``ctx.run_node``, also if it returns nothing.

A node is known by its path, which has the numbers of its runs. A plain function is run as a tool is: under its policy,
``once`` if it has none. A generator, and a node with ``rerun_on_resume``, is a place for steps: its body may run again,
and what it has done in steps and tools is answered from the journal. A node that ADK tries again (``retry_config``)
is another step each time.
"""

from __future__ import annotations

import inspect
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.adk.events.event import Event
from google.adk.events.request_input import RequestInput
from google.adk.sessions._session_util import make_json_safe_state

from durable.adapters.google_adk.seams.actions import actions_of, restore
from durable.adapters.google_adk.seams.confirmations import believe_node
from durable.checkpoint.codec.types import stored_as
from durable.declare.policy import ToolPolicy
from durable.declare.signature import policy_of
from durable.errors import Suspended
from durable.kit import hook, others_first
from durable.live.scope import scope, within
from durable.step.attempt import Ended
from durable.step.begin import begin_step
from durable.step.call import Pending, Recorded, StepCall
from durable.step.complete import complete_step
from durable.step.shells import run_step_async

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from google.adk.agents.context import Context
    from google.adk.workflow._function_node import FunctionNode

    from durable.live.scope import Scope


@stored_as("durable.adapters.google_adk.nodes:NodeAnswer")
@dataclass(frozen=True)
class NodeAnswer:
    """What a node has yielded: events as JSON under ``event``, other values under ``value``; and its actions."""

    yielded: list[dict[str, Any]] = field(default_factory=list)
    actions: dict[str, Any] = field(default_factory=dict)


def hook_nodes() -> None:
    """Put the hook in place, once per process, if ADK has loaded its function nodes.

    Importing them would load a web server's library, which an app without a workflow does not need.
    """
    module: Any = sys.modules.get("google.adk.workflow._function_node")
    if module is not None:
        hook(module.FunctionNode, "_run_impl", _durable)


def _durable(run: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_run(self: FunctionNode, *, ctx: Context, node_input: Any) -> AsyncGenerator[Any, None]:
        here = scope()
        items = run(self, ctx=ctx, node_input=node_input)
        if here is not None:
            believe_node(here.segment, ctx)
            call = _step(self, here, ctx, node_input)
            items = (_place if call.composite else _whole)(call, ctx, items)
        async for item in items:
            yield item

    return durable_run


def _step(node: FunctionNode, here: Scope, ctx: Context, node_input: Any) -> StepCall:
    function = node._func
    declared = here.segment.runtime.policies.get(node.name) or policy_of(function)
    generates = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    attempt = "" if ctx.attempt_count <= 1 else f"~{ctx.attempt_count}"
    return StepCall(
        node.name,
        arguments=make_json_safe_state({"input": node_input}),
        policy=declared or ToolPolicy(),
        identity=f"node:{ctx.node_path}{attempt}",
        kind="node",
        composite=node.rerun_on_resume or generates,
        aliases=(str(getattr(function, "__name__", node.name)),),
        scope=here,
    )


async def _whole(call: StepCall, ctx: Context, items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """A plain function: what it yields is handed on when it is recorded."""
    before, ran = ctx.actions.model_copy(deep=True), list[bool]()

    async def body(_: Pending) -> NodeAnswer:
        ran.append(True)
        return NodeAnswer([_dumped(item) async for item in items], actions_of(ctx, before))

    try:
        answer: Any = await run_step_async(call, body)
    except Suspended:
        await others_first(call.scope)
        raise
    if not isinstance(answer, NodeAnswer):
        yield Event(output=answer)  # given by a person, or by reconcile, in place of the node's
        return
    if not ran:
        restore(ctx, answer.actions)
    for item in answer.yielded:
        yield _loaded(item)


async def _place(call: StepCall, ctx: Context, items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """A place for steps. What it yields is handed on when it has ended, but partial events, which nobody keeps.

    Of a node that has said anything, ADK believes that it is over: a crash after that would lose the rest of it.
    """
    surely = call.scope.segment.runtime.database.surely_on_journal_thread
    before, yielded, began = ctx.actions.model_copy(deep=True), [], time.perf_counter()
    found = await surely(begin_step, call)
    if isinstance(found, Recorded):
        answer = found.result()
        restore(ctx, answer.actions)
        for item in answer.yielded:
            yield _loaded(item)
        return
    asks, done = False, object()
    while (item := await _next(found, items, done)) is not done:
        if isinstance(item, Event) and item.partial:
            yield item
            continue
        yielded.append(item)
        asks = asks or isinstance(item, RequestInput) or bool(isinstance(item, Event) and item.long_running_tool_ids)
    if not asks:  # else it is not over: it runs again with the answer, or the answer is its output
        answer = NodeAnswer([_dumped(item) for item in yielded], actions_of(ctx, before))
        await surely(complete_step, found, Ended(answer), time.perf_counter() - began)
    for item in yielded:
        yield item


async def _next(pending: Pending, items: AsyncIterator[Any], done: object) -> Any:
    with within(pending.scope()):
        return await anext(items, done)


def _dumped(item: Any) -> dict[str, Any]:
    if isinstance(item, RequestInput):
        return {"asks": item.model_dump(mode="json")}
    if isinstance(item, Event):
        return {"event": item.model_dump(mode="json", exclude_none=True)}
    return {"value": make_json_safe_state({"value": item})["value"]}


def _loaded(item: dict[str, Any]) -> Any:
    if "asks" in item:
        return RequestInput.model_validate(item["asks"])
    return Event.model_validate(item["event"]) if "event" in item else item["value"]
