"""Function nodes of a workflow: each is a step, static or made by ``ctx.run_node``, also if it returns nothing.

A node is known by its path, which has the numbers of its runs. A plain function is run as a tool is: under its policy,
``once`` if it has none. A generator, and a node with ``rerun_on_resume``, is a place for steps: its body may run again,
and what it has done in steps and tools is answered from the journal. A node that ADK tries again (``retry_config``)
is another step each time.
"""

from __future__ import annotations

import inspect
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.adk.events.event import Event
from google.adk.events.request_input import RequestInput
from google.adk.sessions._session_util import make_json_safe_state

from durable.adapters.google_adk.seams.actions import actions_of, restore
from durable.adapters.google_adk.seams.confirmations import believe_node
from durable.adapters.google_adk.seams.lazy import loaded
from durable.checkpoint.codec.names import stored_as
from durable.declare.policy import ToolPolicy
from durable.declare.signature import plain, policy_of
from durable.errors import Suspended
from durable.kit import hook, others_first
from durable.live.scope import scope
from durable.record.kinds import FUNCTION, NODE
from durable.step.call import Call, Pending, Placed
from durable.step.crossing import place, run_step_async, stream_step_async

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
    module: Any = loaded("google.adk.workflow._function_node", "FunctionNode")
    if module is not None:
        hook(module.FunctionNode, "_run_impl", _durable)


def _durable(run: Callable[..., Any]) -> Callable[..., Any]:
    async def durable_run(self: FunctionNode, *, ctx: Context, node_input: Any) -> AsyncGenerator[Any, None]:
        here = scope()
        items = run(self, ctx=ctx, node_input=node_input)
        if here is not None:
            believe_node(here.segment, ctx)
            step = _step(self, here, ctx, node_input)
            items = (_place if step.call.kind.is_scope else _whole)(step, ctx, items)
        async for item in items:
            yield item

    return durable_run


def _step(node: FunctionNode, here: Scope, ctx: Context, node_input: Any) -> Placed:
    function = node._func
    declared = here.segment.runtime.policies.get(node.name) or policy_of(function)
    generates = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    attempt = "" if ctx.attempt_count <= 1 else f"~{ctx.attempt_count}"
    is_scope = node.rerun_on_resume or generates
    call = Call(
        node.name,
        arguments=make_json_safe_state({"input": node_input}),
        policy=declared or ToolPolicy(),
        identity=f"node:{ctx.node_path}{attempt}",
        kind=NODE if is_scope else FUNCTION,
        bodies=(node, plain(function)),
        control_flow=(NotOver,) if is_scope else (),
        scope=here,
    )
    return place(call)


async def _whole(step: Placed, ctx: Context, items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """A plain function: what it yields is handed on when it is recorded."""
    before, ran = ctx.actions.model_copy(deep=True), list[bool]()

    async def body(_: Pending) -> NodeAnswer:
        ran.append(True)
        return NodeAnswer([_dumped(item) async for item in items], actions_of(ctx, before))

    try:
        answer: Any = await run_step_async(step, body)
    except Suspended:
        await others_first(step.scope)
        raise
    if not isinstance(answer, NodeAnswer):
        yield Event(output=answer)  # given by a person, or by reconcile, in place of the node's
        return
    if not ran:
        restore(ctx, answer.actions)
    for item in answer.yielded:
        yield _loaded(item)


async def _place(step: Placed, ctx: Context, items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """A place for steps: what it yields is handed on when it has ended."""
    reader = Yielded(ctx)
    try:
        async with aclosing(stream_step_async(step, lambda _: items, lambda: reader)) as found:
            async for item in found:
                yield item
    except NotOver:
        for item in reader.rest():
            yield item


class NotOver(BaseException):
    """Leaves the body of a node that asks: it runs again with the answer, or the answer is its output."""


class Yielded:
    """Reads what a node yields. It is handed on when the node has ended, but partial events, which nobody keeps.

    Of a node that has said anything, ADK believes that it is over: a crash after that would lose the rest of it. A
    node is tried again by ADK alone (``retry_config``), so that nothing of it counts as heard here.
    """

    heard = False

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._before = ctx.actions.model_copy(deep=True)
        self._items: list[Any] = []

    def take(self, item: Any) -> list[Any]:
        """Return a partial event."""
        if isinstance(item, Event) and item.partial:
            return [item]
        self._items.append(item)
        return []

    def whole(self) -> NodeAnswer:
        """Return what the node has yielded and changed. Raises NotOver if it asks something."""
        if any(_asks(item) for item in self._items):
            raise NotOver
        return NodeAnswer([_dumped(item) for item in self._items], actions_of(self._ctx, self._before))

    def rest(self) -> list[Any]:
        """Return what was kept until here."""
        return self._items

    def recorded(self, value: NodeAnswer) -> list[Any]:
        """Return what was recorded; what the node had changed is changed again."""
        restore(self._ctx, value.actions)
        return [_loaded(item) for item in value.yielded]


def _asks(item: Any) -> bool:
    return isinstance(item, RequestInput) or bool(isinstance(item, Event) and item.long_running_tool_ids)


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
