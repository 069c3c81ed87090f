"""Nodes: each is a scope whose result is recorded, keyed by its task id.

A node that has finished is not run again; one that has not is entered again, and what finished inside it (tools, models,
steps) is answered from the journal. What is recorded is the node's raw return: channel writes, branches and Sends are made from
it by LangGraph's own writers. A node that is a graph is no step, its nodes are.

A task id is a sound key only if the checkpoint it was made from is durable (it is part of the id), so a node waits for that before
it runs: the durability barrier. A graph without a checkpointer has new ids each time; there a node is keyed by name, number
and input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph._internal._runnable import RunnableCallable
from langgraph.errors import GraphBubbleUp, GraphInterrupt

from durable.adapters.langgraph import keys
from durable.adapters.langgraph.questions import open_native
from durable.adapters.langgraph.suspension import graph_interrupt, waits_under
from durable.adapters.langgraph.tasks import with_durable_tasks
from durable.checkpoint.errors import Suspended
from durable.policy import READ
from durable.step import Pending, StepCall, run_step, run_step_async

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable, RunnableConfig

    from durable.adapters.langgraph.saver import DurableSaver
    from durable.segment import Segment

BARRIER = 60.0
"""Seconds to wait for a checkpoint that LangGraph is writing."""


class DurableNode(RunnableCallable):
    """A node's runnable, driven as a step of the segment in its config; where there is none it is the bare node.

    ``saver`` is the one its graph's checkpoints go to, None for a graph without one.
    """

    def __init__(self, inner: Runnable[Any, Any], name: str, saver: DurableSaver | None) -> None:
        super().__init__(self._call, self._acall, name=name, trace=False, recurse=False)
        self.inner = inner
        self.node = name
        self.saver = saver
        # a bound method's annotations are strings here, which LangGraph does not recognise
        self.func_accepts = {"config": ("N/A", None)}

    def _call(self, input: Any, config: RunnableConfig) -> Any:  # noqa: A002 - LangGraph's name
        segment = keys.segment_in(config)
        if segment is None:
            return self.inner.invoke(input, config)
        self._wait_durable(config)
        call = self._step(segment, input, config)

        def body(_: Pending) -> Any:
            try:
                result = self.inner.invoke(input, with_durable_tasks(config, segment))
            except GraphInterrupt as exc:
                open_native(segment, exc)
                raise
            return _unless_waiting(segment, call, result)

        try:
            return run_step(call, body)
        except (Suspended, GraphInterrupt) as exc:
            raise _merged(segment, call, exc) from None

    async def _acall(self, input: Any, config: RunnableConfig) -> Any:  # noqa: A002 - LangGraph's name
        segment = keys.segment_in(config)
        if segment is None:
            return await self.inner.ainvoke(input, config)
        on_journal_thread = segment.runtime.database.on_journal_thread
        await on_journal_thread(self._wait_durable, config)
        call = self._step(segment, input, config)

        async def body(_: Pending) -> Any:
            try:
                result = await self.inner.ainvoke(input, with_durable_tasks(config, segment))
            except GraphInterrupt as exc:
                await on_journal_thread(open_native, segment, exc)
                raise
            return _unless_waiting(segment, call, result)

        try:
            return await run_step_async(call, body)
        except (Suspended, GraphInterrupt) as exc:
            raise _merged(segment, call, exc) from None

    def _step(self, segment: Segment, value: Any, config: RunnableConfig) -> StepCall:
        policy = segment.runtime.policies.get(self.node, READ)
        return StepCall(
            self.node,
            arguments=None if self.saver is not None else value,
            policy=policy,
            identity=None if self.saver is None else f"node:{keys.configurable(config)[keys.TASK_ID]}",
            kind="node",
            composite=policy.effect == "read",
            passing=(GraphBubbleUp,),
            scope=keys.scope_in(segment),
        )

    def _wait_durable(self, config: RunnableConfig) -> None:
        info = getattr(keys.configurable(config).get(keys.RUNTIME), "execution_info", None)
        if self.saver is not None and info is not None:
            namespace = "|".join(part for part in info.checkpoint_ns.split("|")[:-1])
            self.saver.wait_durable(info.checkpoint_id, namespace, BARRIER)


def _unless_waiting(segment: Segment, call: StepCall, result: Any) -> Any:
    """The node's result; but if it swallowed the interrupt of a call inside it, the node has not finished."""
    if waits_under(segment, call.key):
        raise graph_interrupt(segment, call.key)
    return result


def _merged(segment: Segment, call: StepCall, exc: Suspended | GraphInterrupt) -> GraphInterrupt:
    """All that is waited for in this node: what bubbled up, and the parallel calls that it hides."""
    ours = graph_interrupt(segment, call.key)
    if isinstance(exc, Suspended):
        return ours
    native = tuple(exc.args[0]) if exc.args else ()
    seen = {interrupt.id for interrupt in native}
    return GraphInterrupt((*native, *(interrupt for interrupt in ours.args[0] if interrupt.id not in seen)))
