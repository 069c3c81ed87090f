"""Dependencies: what tools need and nobody records, made once and closed at the end: clients, pools, configuration.

    Runtime(dependencies={"settings": settings, "db": open_db, "http": open_http})

A function is a factory; anything else is given as it is. A plain factory, or generator, is called once in a process,
when its worker starts or its first step runs. An ``async def`` factory is called on the event loop of the async tool
that needs it, once for each loop: clients and pools belong to the loop that they are used on. A worker drives each
execution on a loop of its own; your own code has yours. What stands behind a generator's ``yield`` runs at the end of
the process, or of the loop, in reverse order.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any

from durable.errors import DependencyFailed, InvalidConfiguration, Unsupported

log = logging.getLogger("durable")

CLOSING = 10.0
"""Seconds that the end of a process waits for what another thread's event loop closes."""


class Dependencies(Mapping[str, Any]):
    """Dependencies as a tool finds them in ``ToolContext.dependencies``.

    Raises KeyError for a name that nobody gave, and Unsupported for one of an async factory where no async tool runs.
    """

    def __init__(self, declared: Mapping[str, Any] | None = None) -> None:
        self._values = {name: value for name, value in (declared or {}).items() if not _is_factory(value)}
        factories = {
            name: _checked(name, value) for name, value in (declared or {}).items() if name not in self._values
        }
        self._async = {name: fn for name, fn in factories.items() if _is_async(fn)}
        self._left = {name: fn for name, fn in factories.items() if name not in self._async}
        self._names = tuple(declared or ())
        self._stack = ExitStack()
        self._lock = threading.RLock()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Keeper] = weakref.WeakKeyDictionary()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Dependencies({', '.join(self._names)})"

    def __getitem__(self, name: str) -> Any:
        if name in self._left:
            self.make()
        if name not in self._async:
            return self._values[name]
        keeper = self._here()
        if keeper is None:
            msg = (
                f"dependency {name!r} has an async factory, and belongs to the event loop of an async tool: use it in "
                "an async tool or step, or make the factory a plain function"
            )
            raise Unsupported(msg)
        return keeper.values[name]

    def make(self) -> None:
        """Call the plain factories that were not called yet, in their order. Blocks. Raises DependencyFailed."""
        if not self._left:
            return
        with self._lock:
            for name, factory in list(self._left.items()):
                try:
                    self._values[name] = self._made(factory)
                except Exception as exc:
                    raise DependencyFailed(name, exc) from exc
                del self._left[name]

    def _made(self, factory: Callable[[], Any]) -> Any:
        product = factory()
        if inspect.isgenerator(product):
            return self._stack.enter_context(contextmanager(lambda: product)())
        if inspect.isgeneratorfunction(_innermost(factory)):  # of which contextlib has made a context manager
            return self._stack.enter_context(product)
        if inspect.iscoroutine(product):
            product.close()
            msg = "it returned a coroutine: make the factory itself an async function"
            raise TypeError(msg)
        return product

    @property
    def ready(self) -> bool:
        """True if nothing has to be made here before a tool may run."""
        return not self._left and (not self._async or self._here() is not None)

    async def ready_here(self) -> None:
        """Call the async factories on this event loop, if they were not yet. Raises DependencyFailed."""
        if not self._async:
            return
        loop = asyncio.get_running_loop()
        with self._lock:
            keeper = self._loops.get(loop)
            if keeper is None or keeper.task.done():
                keeper = self._loops[loop] = _Keeper(loop, self._async)
        await asyncio.shield(keeper.made)

    def _here(self) -> _Keeper | None:
        loop = _running()
        keeper = None if loop is None else self._loops.get(loop)
        return keeper if keeper is not None and not keeper.task.done() and keeper.kept else None

    def close(self) -> None:
        """Run what stands behind the yields, in reverse order; those of event loops first."""
        with self._lock:
            keepers = list(self._loops.values())
            self._loops.clear()
        for keeper in keepers:
            keeper.close()
        self._stack.close()


class _Keeper:
    """Keeper of one event loop's dependencies: one task on it makes, keeps and closes them.

    The task ends with the loop at the latest.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, factories: Mapping[str, Callable[[], Any]]) -> None:
        self.values: dict[str, Any] = {}
        self.made: asyncio.Future[None] = loop.create_future()
        self.kept = False
        self._loop = loop
        self._over = asyncio.Event()
        self._ended = threading.Event()
        # in no execution: it outlives the one whose tool is the first to need it
        self.task = loop.create_task(self._keep(factories), context=contextvars.Context())
        self.task.add_done_callback(lambda _: self._ended.set())

    async def _keep(self, factories: Mapping[str, Callable[[], Any]]) -> None:
        try:
            async with AsyncExitStack() as stack:
                for name, factory in factories.items():
                    try:
                        self.values[name] = await _made_on_loop(factory, stack)
                    except Exception as exc:  # noqa: BLE001 - handed to the tool
                        self.made.set_exception(DependencyFailed(name, exc))
                        return
                self.kept = True
                self.made.set_result(None)
                try:
                    await self._over.wait()
                except asyncio.CancelledError:
                    log.debug("the event loop ends, and with it the dependencies %s", ", ".join(factories))
        except Exception:
            log.exception("dependencies were not closed in good order: %s", ", ".join(factories))
        finally:
            if not self.made.done():
                self.made.cancel()

    def close(self) -> None:
        """Let the task end; waits for it, unless that would be to wait for oneself."""
        if self._loop.is_closed() or self.task.done():
            return
        if not self._loop.is_running():
            self._over.set()
            self._loop.run_until_complete(self.task)
            return
        self._loop.call_soon_threadsafe(self._over.set)
        if _running() is not self._loop and not self._ended.wait(CLOSING):
            log.warning("an event loop did not close its dependencies within %s s", CLOSING)


async def _made_on_loop(factory: Callable[[], Any], stack: AsyncExitStack) -> Any:
    product = factory()
    if inspect.isasyncgen(product):
        return await stack.enter_async_context(asynccontextmanager(lambda: product)())
    return await (product if inspect.isawaitable(product) else stack.enter_async_context(product))


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_factory(value: Any) -> bool:
    return inspect.isroutine(value) or isinstance(value, functools.partial)


def _is_async(factory: Callable[[], Any]) -> bool:
    inner = _innermost(factory)
    return inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)


def _innermost(factory: Callable[[], Any]) -> Any:
    inner: Any = factory
    while isinstance(inner, functools.partial):
        inner = inner.func
    return inspect.unwrap(inner)


def _checked(name: str, factory: Callable[[], Any]) -> Callable[[], Any]:
    try:
        inspect.signature(factory).bind()
    except TypeError as exc:
        msg = f"dependency {name!r}: a function is a factory, and is called without arguments: {exc}"
        raise InvalidConfiguration(msg) from exc
    except ValueError:
        return factory  # a builtin without a signature
    return factory
