"""Parallel tool calls of one ToolNode: none is left behind by the first that has to wait.

ToolNode goes on as soon as one of its calls raises; those that have not begun are dropped, and in asynchronous code
those that have begun are left alone. Here a call that has to wait says so with its result, and the node raises when
all of them have ended: all that must be asked is asked in one pass, and none runs on after its node has been left.
"""

from __future__ import annotations

import copy
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph.errors import GraphBubbleUp

from durable.context import Scope, scope

if TYPE_CHECKING:
    from langgraph.prebuilt import ToolNode

_alone: ContextVar[Scope | None] = ContextVar("durable_tool_alone", default=None)


@dataclass(frozen=True, slots=True)
class _Waits:
    """In place of a call's result: what it has raised."""

    raised: GraphBubbleUp


def is_alone(here: Scope) -> bool:
    """Whether this is the scope of a ToolNode that has been given a single call."""
    return _alone.get() is here


def gathered(node: ToolNode) -> ToolNode:
    """A copy of the ToolNode whose calls end together, and know if there is but one; the given one stays as it is."""
    copied: Any = copy.copy(node)
    parse, combine = copied._parse_input, copied._combine_tool_outputs
    run_one, arun_one = copied._run_one, copied._arun_one

    def parse_input(*args: Any, **options: Any) -> Any:
        found = parse(*args, **options)
        _alone.set(scope() if len(found[0]) == 1 else None)
        return found

    def one(*args: Any, **options: Any) -> Any:
        try:
            return run_one(*args, **options)
        except GraphBubbleUp as exc:
            return _Waits(exc)

    async def aone(*args: Any, **options: Any) -> Any:
        try:
            return await arun_one(*args, **options)
        except GraphBubbleUp as exc:
            return _Waits(exc)

    def combine_outputs(outputs: Any, *args: Any, **options: Any) -> Any:
        waits = next((output for output in outputs if isinstance(output, _Waits)), None)
        if waits is not None:
            raise waits.raised
        return combine(outputs, *args, **options)

    copied._parse_input, copied._combine_tool_outputs = parse_input, combine_outputs
    copied._run_one, copied._arun_one = one, aone
    # bound to the original, they would look these up there
    copied.func, copied.afunc = type(copied)._func.__get__(copied), type(copied)._afunc.__get__(copied)
    return copied  # type: ignore[no-any-return]  # the same class
