"""Nodes: each is a scope whose result is recorded, keyed by its task id.

A node that has finished is not run again; one that has not is entered again, and what finished inside it (tools,
models, steps) is answered from the journal. What is recorded is the node's raw return: channel writes, branches and
Sends are made from it by LangGraph's own writers. A node that is a graph is no step, its nodes are.

A task id is a sound key only if the checkpoint it was made from is durable (it is part of the id), so a node waits
for that before it runs: the durability barrier. A graph without a checkpointer has new ids each time; there a node
is keyed by name, number and input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph._internal._runnable import RunnableCallable
from langgraph.errors import GraphBubbleUp, GraphInterrupt

from durable.adapters.langgraph import keys
from durable.adapters.langgraph.questions import open_native
from durable.adapters.langgraph.saver import DurableSaver
from durable.adapters.langgraph.suspension import graph_interrupt, waits_under
from durable.adapters.langgraph.tasks import durable_tasks
from durable.checkpoint.errors import Suspended
from durable.context import within
from durable.policy import READ
from durable.step import Pending, StepCall, run_step, run_step_async

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable, RunnableConfig

    from durable.segment import Segment

BARRIER = 60.0
"""Seconds to wait for a checkpoint that LangGraph is writing."""


class DurableNode(RunnableCallable):
    """A node's runnable, driven as a step of the segment in its config; where there is none it is the bare node.

    ``kept`` says whether its graph has checkpoints. The saver they go to is the one of the run: a graph may be part
    of several.
    """

    def __init__(self, inner: Runnable[Any, Any], name: str, *, kept: bool) -> None:
        super().__init__(self._call, self._acall, name=name, trace=False, recurse=False)
        self.inner = inner
        self.node = name
        self.kept = kept
        # a bound method's annotations are strings here, which LangGraph does not recognise
        self.func_accepts = {"config": ("N/A", None)}

    def _call(self, input: Any, config: RunnableConfig) -> Any:  # noqa: A002 - LangGraph's name
        segment = keys.segment_in(config)
        if segment is None:
            return self.inner.invoke(input, config)
        if (made_from := self._made_from(config)) is not None:
            saver, checkpoint_id, namespace = made_from
            saver.wait_durable(checkpoint_id, namespace, BARRIER)
        call = self._step(segment, input, config)

        def body(pending: Pending) -> Any:
            try:
                with within(keys.inside(pending)), durable_tasks(config, segment) as inner_config:
                    result = self.inner.invoke(input, inner_config)
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
        if (made_from := self._made_from(config)) is not None:
            saver, checkpoint_id, namespace = made_from
            await saver.wait_durable_async(checkpoint_id, namespace, BARRIER)
        call = self._step(segment, input, config)

        async def body(pending: Pending) -> Any:
            try:
                with within(keys.inside(pending)), durable_tasks(config, segment) as inner_config:
                    result = await self.inner.ainvoke(input, inner_config)
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
        keyed = self._saver(config) is not None
        return StepCall(
            self.node,
            arguments=None if keyed else value,
            policy=policy,
            identity=f"node:{keys.configurable(config)[keys.TASK_ID]}" if keyed else None,
            kind="node",
            composite=policy.effect == "read",
            passing=(GraphBubbleUp,),
            scope=keys.scope_in(segment),
        )

    def _saver(self, config: RunnableConfig) -> DurableSaver | None:
        saver = keys.configurable(config).get(keys.CHECKPOINTER)
        return saver if self.kept and isinstance(saver, DurableSaver) else None

    def _made_from(self, config: RunnableConfig) -> tuple[DurableSaver, str, str] | None:
        """The checkpoint that this task was made from: its saver, id and namespace."""
        saver = self._saver(config)
        info = getattr(keys.configurable(config).get(keys.RUNTIME), "execution_info", None)
        if saver is None or info is None:
            return None
        return saver, info.checkpoint_id, info.checkpoint_ns.rpartition("|")[0]


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
