"""Calls of a ToolNode: each in a frame of its own, none left behind by another, and its error told in the same words.

ToolNode goes on as soon as one of its calls raises; those that have not begun are dropped, and in asynchronous code
those that have begun are left alone. Here a call that has to wait says so with its result, and the node raises when
all of them have ended: all that must be asked is asked in one pass, and none runs on after its node has been left.

What a handler made of an exception is recorded where the exception itself cannot be rebuilt on a replay. The methods
are hooked once, and do nothing outside of executions.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langchain_core.messages import ToolMessage
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.prebuilt import ToolNode

from durable.adapters.langgraph.seams.call_scope import calls_in, frame
from durable.adapters.langgraph.seams.questions import open_native
from durable.declare.policy import READ
from durable.kit import hook
from durable.live.scope import Scope, scope
from durable.record.events import ABSENT, StepFailed, unpack_if
from durable.record.kinds import FRAMEWORK
from durable.step.call import Call, Placed
from durable.step.crossing import place, run_step, run_step_async

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class _Waits:
    """In place of a call's result: what it has raised."""

    raised: GraphBubbleUp


def hook_tool_nodes() -> None:
    """Put the hooks in place, once per process."""
    hook(ToolNode, "_parse_input", _counting)
    hook(ToolNode, "_run_one", _one)
    hook(ToolNode, "_arun_one", _one_async)
    hook(ToolNode, "_combine_tool_outputs", _all)


def _counting(parse: Callable[..., Any]) -> Callable[..., Any]:
    def parse_input(*args: Any, **options: Any) -> Any:
        found = parse(*args, **options)
        calls_in(scope(), len(found[0]))
        return found

    return parse_input


def _one(run_one: Callable[..., Any]) -> Callable[..., Any]:
    def one(node: ToolNode, call: Any, kind: Any, runtime: Any) -> Any:
        here = scope()
        if here is None:
            return run_one(node, call, kind, runtime)
        if (told := _told_before(here, call)) is not None:
            return told
        with _framed(here, call, runtime) as inner:
            try:
                result = run_one(node, call, kind, inner)
            except GraphBubbleUp as exc:
                _asked(here, call, exc)
                return _Waits(exc)
        telling = _to_tell(here, call, result)
        return result if telling is None else run_step(telling, lambda _: result)

    return one


def _one_async(arun_one: Callable[..., Any]) -> Callable[..., Any]:
    async def one(node: ToolNode, call: Any, kind: Any, runtime: Any) -> Any:
        here = scope()
        if here is None:
            return await arun_one(node, call, kind, runtime)
        if (told := _told_before(here, call)) is not None:
            return told
        with _framed(here, call, runtime) as inner:
            try:
                result = await arun_one(node, call, kind, inner)
            except GraphBubbleUp as exc:
                await here.segment.runtime.database.on_journal_thread(_asked, here, call, exc)
                return _Waits(exc)
        telling = _to_tell(here, call, result)

        async def body(_: Any) -> Any:
            return result

        return result if telling is None else await run_step_async(telling, body)

    return one


def _all(combine: Callable[..., Any]) -> Callable[..., Any]:
    def combine_outputs(node: ToolNode, outputs: Any, *args: Any, **options: Any) -> Any:
        waits = next((output for output in outputs if isinstance(output, _Waits)), None)
        if waits is not None:
            raise waits.raised
        return combine(node, outputs, *args, **options)

    return combine_outputs


def _asked(here: Scope, call: Any, exc: GraphBubbleUp) -> None:
    if isinstance(exc, GraphInterrupt):
        open_native(here.segment, exc, _key(here, "call", call))


@contextmanager
def _framed(here: Scope, call: Any, runtime: Any) -> Iterator[Any]:
    """The ToolRuntime of a call in its frame: what wraps the tool (middleware) may ask, too."""
    with frame(runtime.config, here, _key(here, "call", call)) as inner:
        yield runtime if inner is None else replace(runtime, config=inner)


def _told_before(here: Scope, call: Any) -> Any:
    """The recorded message about the failure of this call, if there is one."""
    found = here.segment.replay.steps.get(_key(here, "told", call))
    return found.result.value() if found is not None and found.result is not None else None


def _to_tell(here: Scope, call: Any, result: Any) -> Placed | None:
    """The step that records a message about a failure; None if a replay of the failure would lead to the same one."""
    failed = here.segment.replay.steps.get(_key(here, "tool", call))
    if not (isinstance(result, ToolMessage) and result.status == "error" and failed is not None):
        return None
    event = unpack_if(failed.result, StepFailed)
    if failed.progress != "failed" or failed.result is None or event is None:
        return None
    if event.rejected is not None or event.timeout is not ABSENT or isinstance(failed.result.value(), BaseException):
        return None
    return place(
        Call(f"error of {call['name']}", policy=READ, identity=f"told:{call['id']}", kind=FRAMEWORK, scope=here)
    )


def _key(here: Scope, kind: str, call: Any) -> str:
    return f"{here.path}/{kind}:{call['id']}"
