"""Durability barrier: a node may wait until the checkpoint it was made from is durable.

A task's id contains the id of its checkpoint, so it is the same after a crash only if that checkpoint survived.
LangGraph writes checkpoints in the background; who wrote or read one says so here. Nobody waits in vain for a write
that has failed: the waiter gets its error.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import suppress

from durable.errors import DatabaseUnavailable

KNOWN = 4096
"""How many checkpoints are remembered; those that are still awaited always are."""


class Barrier:
    """Which checkpoints of this process are known to be durable, by namespace within the thread and id. Thread-safe."""

    def __init__(self, limit: int = KNOWN) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._futures: OrderedDict[tuple[str, str], Future[None]] = OrderedDict()

    def durable(self, ns: str, checkpoint_id: str) -> None:
        """Let go on those who wait for this checkpoint: it is in the database."""
        with self._lock:
            future = self._future(ns, checkpoint_id)
            if future.done() and future.exception() is not None:
                future = self._futures[ns, checkpoint_id] = Future()
            if not future.done():
                future.set_result(None)
            self._forget_old()

    def failed(self, ns: str, checkpoint_id: str, error: BaseException) -> None:
        """Give this error to those who wait for a checkpoint that could not be written. It may be written again."""
        with self._lock:
            future = self._future(ns, checkpoint_id)
            if not future.done():
                future.set_exception(error)
            self._forget_old()

    def wait(self, ns: str, checkpoint_id: str, timeout: float) -> None:
        """Return when the checkpoint is durable. Raises DatabaseUnavailable after ``timeout`` seconds."""
        with self._lock:
            future = self._future(ns, checkpoint_id)
        try:
            future.result(timeout)
        except TimeoutError as exc:
            raise self._late(ns, checkpoint_id, timeout) from exc

    async def wait_async(self, ns: str, checkpoint_id: str, timeout: float) -> None:
        """Wait as ``wait`` does, holding no thread."""
        with self._lock:
            future = self._future(ns, checkpoint_id)
        if not future.done():
            loop, settled = asyncio.get_running_loop(), asyncio.Event()

            def wake(_: Future[None]) -> None:
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(settled.set)

            future.add_done_callback(wake)
            try:
                await asyncio.wait_for(settled.wait(), timeout)
            except TimeoutError as exc:
                raise self._late(ns, checkpoint_id, timeout) from exc
        future.result()

    def _future(self, ns: str, checkpoint_id: str) -> Future[None]:
        key = (ns, checkpoint_id)
        if key not in self._futures:
            self._futures[key] = Future()
        self._futures.move_to_end(key)
        return self._futures[key]

    def _forget_old(self) -> None:
        while len(self._futures) > self._limit:
            oldest = next(iter(self._futures))
            if not self._futures[oldest].done():
                return
            del self._futures[oldest]

    def _late(self, ns: str, checkpoint_id: str, seconds: float) -> DatabaseUnavailable:
        with self._lock:
            future = self._futures.get((ns, checkpoint_id))
            if future is not None and not future.done():
                del self._futures[ns, checkpoint_id]
        msg = f"checkpoint {checkpoint_id} was not durable within {seconds} s; no step was started from it"
        return DatabaseUnavailable(msg)
