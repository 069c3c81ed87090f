"""Parallel tool calls of one asynchronous ToolNode: none is left behind by the first that has to wait.

ToolNode gathers its calls, and a gather goes on as soon as one of them raises. Here the one that has to wait first
waits for its siblings, so all that must be asked is asked in one pass, and none runs on after its node has been
left.
"""

from __future__ import annotations

import asyncio
import copy
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from langgraph.errors import GraphBubbleUp

if TYPE_CHECKING:
    from langgraph.prebuilt import ToolNode


class _Batch:
    """The calls of one pass through the node that are neither done nor waiting."""

    def __init__(self) -> None:
        self.running = 0
        self.quiet = asyncio.Event()

    def started(self) -> None:
        self.running += 1
        self.quiet.clear()

    def ended(self) -> None:
        self.running -= 1
        if self.running == 0:
            self.quiet.set()


_batch: ContextVar[_Batch] = ContextVar("durable_tool_batch")


def gathered(node: ToolNode) -> ToolNode:
    """A copy of the ToolNode whose parallel calls end together; the one given stays as it was."""
    copied: Any = copy.copy(node)
    run_one = copied._arun_one

    async def one(*args: Any, **options: Any) -> Any:
        batch = _batch.get()
        batch.started()
        try:
            return await run_one(*args, **options)
        except GraphBubbleUp:
            batch.ended()
            await batch.quiet.wait()
            batch.started()
            raise
        finally:
            batch.ended()

    async def all_of_them(*args: Any, **options: Any) -> Any:
        token = _batch.set(_Batch())
        try:
            return await run_all(*args, **options)
        finally:
            _batch.reset(token)

    # _afunc looks its calls up on the object it is bound to
    run_all = type(copied)._afunc.__get__(copied)
    copied._arun_one = one
    copied.func, copied.afunc = type(copied)._func.__get__(copied), all_of_them
    return copied  # type: ignore[no-any-return]  # the same class
