"""``@task``: its body runs as a step keyed by the id of the task that LangGraph pushes for the call.

A finished task is not run again even where its write was still on its way to the saver when the process died.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp
from langgraph.pregel._call import SyncAsyncFuture

from durable.adapters.langgraph.seams.suspension import graph_interrupt
from durable.adapters.langgraph.state import keys
from durable.declare.policy import READ
from durable.declare.signature import plain, policy_of
from durable.errors import Suspended
from durable.live.scope import within
from durable.record.kinds import FUNCTION, TASK
from durable.step.call import Call, Pending, Placed
from durable.step.crossing import place, run_step, run_step_async

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_core.runnables import RunnableConfig

    from durable.live.segment import Segment


@contextmanager
def durable_tasks(config: RunnableConfig, segment: Segment) -> Iterator[RunnableConfig]:
    """Return the config for the body of a node or task, in which a ``@task`` that is called becomes a step.

    ``@task`` finds it in LangChain's context variable, as a node that is not traced leaves what is there.
    """
    call = keys.configurable(config).get(keys.CALL)
    if call is not None and not hasattr(call, "__durable__"):

        def durable_call(func: Callable[..., Any], *args: Any, **options: Any) -> Any:
            return call(_as_step(func, segment), *args, **options)

        durable_call.__durable__ = True  # type: ignore[attr-defined]  # so that it is put on once
        config = {**config, "configurable": {**config["configurable"], keys.CALL: durable_call}}
    token = var_child_runnable_config.set(config)
    try:
        yield config
    finally:
        var_child_runnable_config.reset(token)


def call_inside(segment: Segment) -> Callable[..., Any]:
    """Return what calls a ``@task`` inside of a tool call: the task is a step of that call, at once and in its place.

    LangGraph would count it among those of the task around, which is not entered again where the tool call is recorded.
    """

    def call(func: Callable[..., Any], payload: tuple[Any, Any], **_: Any) -> Any:
        args, kwargs = payload
        step = _step(func, segment, None)
        if inspect.iscoroutinefunction(func):
            return asyncio.ensure_future(run_step_async(step, lambda pending: _awaited(pending, func, args, kwargs)))
        future: SyncAsyncFuture[Any] = SyncAsyncFuture()
        try:
            future.set_result(run_step(step, lambda pending: _called(pending, func, args, kwargs)))
        except Exception as exc:  # noqa: BLE001 - it is the future's
            future.set_exception(exc)
        return future

    return call


def _called(pending: Pending, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    with within(keys.inside(pending)):
        return func(*args, **kwargs)


async def _awaited(pending: Pending, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    with within(keys.inside(pending)):
        return await func(*args, **kwargs)


def _step(func: Callable[..., Any], segment: Segment, identity: str | None) -> Placed:
    name = getattr(func, "__name__", type(func).__name__)
    policy = segment.runtime.policies.get(name) or policy_of(func) or READ
    call = Call(
        name,
        policy=policy,
        identity=identity,
        kind=FUNCTION if policy.does.changes_world else TASK,
        bodies=(plain(func),),
        control_flow=(GraphBubbleUp,),
        scope=keys.scope_in(segment),
    )
    return place(call)


def _as_step(func: Callable[..., Any], segment: Segment) -> Callable[..., Any]:
    def step_of() -> Placed:
        return _step(func, segment, f"task:{keys.task_identity(get_config())}")

    if inspect.iscoroutinefunction(func):

        @functools.wraps(func)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            async def body(pending: Pending) -> Any:
                with within(keys.inside(pending)), durable_tasks(get_config(), segment):
                    return await func(*args, **kwargs)

            step = step_of()
            try:
                return await run_step_async(step, body)
            except Suspended:
                raise graph_interrupt(segment, step.key) from None

        return run_async

    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        def body(pending: Pending) -> Any:
            with within(keys.inside(pending)), durable_tasks(get_config(), segment):
                return func(*args, **kwargs)

        step = step_of()
        try:
            return run_step(step, body)
        except Suspended:
            raise graph_interrupt(segment, step.key) from None

    return run
