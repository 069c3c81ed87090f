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

from durable.adapters.langgraph.seams.questions import open_native
from durable.adapters.langgraph.seams.suspension import graph_interrupt
from durable.adapters.langgraph.seams.tasks import durable_tasks
from durable.adapters.langgraph.state import keys
from durable.adapters.langgraph.state.saver import DurableSaver
from durable.declare.policy import READ
from durable.errors import Suspended
from durable.live.scope import within
from durable.record.kinds import FUNCTION, NODE
from durable.step.call import Call, Pending, Placed
from durable.step.crossing import place, run_step, run_step_async

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable, RunnableConfig

    from durable.live.segment import Segment

BARRIER = 60.0
"""Seconds to wait for a checkpoint that LangGraph is writing."""


class DurableNode(RunnableCallable):
    """A node's runnable, driven as a step of the segment in its config; where there is none it is the bare node."""

    def __init__(self, inner: Runnable[Any, Any], name: str) -> None:
        super().__init__(self._call, self._acall, name=name, trace=False, recurse=False)
        self.inner = inner
        self.node = name
        # a bound method's annotations are strings here, which LangGraph does not recognise
        self.func_accepts = {"config": ("N/A", None)}

    def _call(self, input: Any, config: RunnableConfig) -> Any:  # noqa: A002 - LangGraph's name
        segment = keys.segment_in(config)
        if segment is None:
            return self.inner.invoke(input, config)
        if (came_from := made_from(config)) is not None:
            saver, checkpoint_id, namespace = came_from
            saver.wait_durable(checkpoint_id, namespace, BARRIER)
        step = self._step(segment, config)

        def body(pending: Pending) -> Any:
            try:
                with within(keys.inside(pending)), durable_tasks(config, segment) as inner_config:
                    result = self.inner.invoke(input, inner_config)
            except GraphInterrupt as exc:
                open_native(segment, exc, step.key)
                raise
            return _unless_waiting(step, result)

        try:
            return run_step(step, body)
        except (Suspended, GraphInterrupt) as exc:
            raise _merged(step, exc) from None

    async def _acall(self, input: Any, config: RunnableConfig) -> Any:  # noqa: A002 - LangGraph's name
        segment = keys.segment_in(config)
        if segment is None:
            return await self.inner.ainvoke(input, config)
        on_journal_thread = segment.runtime.database.on_journal_thread
        if (came_from := made_from(config)) is not None:
            saver, checkpoint_id, namespace = came_from
            await saver.wait_durable_async(checkpoint_id, namespace, BARRIER)
        step = self._step(segment, config)

        async def body(pending: Pending) -> Any:
            try:
                with within(keys.inside(pending)), durable_tasks(config, segment) as inner_config:
                    result = await self.inner.ainvoke(input, inner_config)
            except GraphInterrupt as exc:
                await on_journal_thread(open_native, segment, exc, step.key)
                raise
            return _unless_waiting(step, result)

        try:
            return await run_step_async(step, body)
        except (Suspended, GraphInterrupt) as exc:
            raise _merged(step, exc) from None

    def _step(self, segment: Segment, config: RunnableConfig) -> Placed:
        policy = segment.runtime.policies.get(self.node, READ)
        call = Call(
            self.node,
            policy=policy,
            identity=f"node:{keys.task_identity(config)}",
            kind=FUNCTION if policy.does.changes_world else NODE,
            control_flow=(GraphBubbleUp,),
            scope=keys.scope_in(segment),
        )
        return place(call)


def made_from(config: RunnableConfig) -> tuple[DurableSaver, str, str] | None:
    """The checkpoint that this task was made from: its saver, id and namespace. None in a graph without checkpoints."""
    conf = keys.configurable(config)
    saver, info = conf.get(keys.CHECKPOINTER), getattr(conf.get(keys.RUNTIME), "execution_info", None)
    if not isinstance(saver, DurableSaver) or info is None or conf.get(keys.UNKEPT) is not None:
        return None
    # a @task has the checkpoint of the graph whose node called it, and a place of its own below that node
    kept_in = [place for place, made in conf.get(keys.CHECKPOINTS, {}).items() if made == info.checkpoint_id]
    return saver, info.checkpoint_id, min(kept_in, key=len, default=info.checkpoint_ns.rpartition("|")[0])


def _unless_waiting(step: Placed, result: Any) -> Any:
    """The node's result; but if it swallowed the interrupt of a call inside it, the node has not finished."""
    waiting = graph_interrupt(step.segment, step.key)
    if waiting.args[0]:
        raise waiting
    return result


def _merged(step: Placed, exc: Suspended | GraphInterrupt) -> GraphInterrupt:
    """All that is waited for in this node: what bubbled up, and the parallel calls that it hides."""
    bubbled = tuple(exc.args[0]) if isinstance(exc, GraphInterrupt) and exc.args else ()
    found = {interrupt.id: interrupt for interrupt in (*bubbled, *graph_interrupt(step.segment, step.key).args[0])}
    return GraphInterrupt(tuple(found.values()))
