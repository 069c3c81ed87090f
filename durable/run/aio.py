"""Offer the methods of a runtime to async code: one shim, no twins."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from durable.checkpoint.database import Database


class Aio:
    """Any method of the runtime as a coroutine: ``await runtime.aio.decide(...)``.

    Those that drive executions have a thread each: the steps of these executions need the journal's threads.
    """

    DRIVING = frozenset({"run", "drive", "recover"})

    def __init__(self, runtime: object, database: Database) -> None:
        self._runtime = runtime
        self._database = database

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._runtime, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            if name not in self.DRIVING:
                return await self._database.on_journal_thread(method, *args, **kwargs)
            thread = ThreadPoolExecutor(1, thread_name_prefix="durable-drive")
            try:
                driven = thread.submit(contextvars.copy_context().run, method, *args, **kwargs)
                return await asyncio.wrap_future(driven)
            finally:
                thread.shutdown(wait=False)

        return call
