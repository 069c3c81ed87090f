"""One attempt of a step: run the body, with its timeout enforced, and say what is known afterwards.

A body that returned or raised an Exception has an outcome. One that timed out, or raised something that is meant to
end the process (SystemExit), has none: what it did outside is unknown. Cancellation, KeyboardInterrupt and the
signals of this library and of the frameworks pass through.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.errors import Cancelled, LeaseLost, StepAborted, StepTimeout, StorageError, Suspended
from durable.live.crossing import Crossing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

PASSING: tuple[type[BaseException], ...] = (
    Suspended,
    Cancelled,
    Crossing,
    LeaseLost,
    StorageError,
    KeyboardInterrupt,
    GeneratorExit,
    asyncio.CancelledError,
)
"""What no step ever records: it says nothing about the step."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What an attempt came to: a value, an error, or (``unknown``) neither."""

    value: Any = None
    error: BaseException | None = None
    unknown: bool = False


def run_attempt(
    body: Callable[[], Any], key: str, timeout: float | None, passing: tuple[type[BaseException], ...] = ()
) -> Ended:
    """Run a synchronous body; past ``timeout`` (seconds) its thread is left behind and the outcome is unknown."""
    try:
        return Ended(body() if timeout is None else _in_thread(body, key, timeout))
    except PASSING + passing:
        raise
    except BaseException as exc:  # noqa: BLE001 - sorted out below
        return _sorted(exc, key)


async def run_attempt_async(
    body: Callable[[], Awaitable[Any]], key: str, timeout: float | None, passing: tuple[type[BaseException], ...] = ()
) -> Ended:
    """Run an asynchronous body; past ``timeout`` (seconds) it is cancelled and the outcome is unknown."""
    try:
        async with asyncio.timeout(timeout) as limit:
            return Ended(await body())
    except TimeoutError as exc:
        if limit.expired() and timeout is not None:
            return Ended(error=StepTimeout(key, timeout), unknown=True)
        return _sorted(exc, key)
    except PASSING + passing:
        raise
    except BaseException as exc:  # noqa: BLE001 - sorted out below
        return _sorted(exc, key)


def _sorted(exc: BaseException, key: str) -> Ended:
    if isinstance(exc, StepTimeout):
        return Ended(error=exc, unknown=True)
    if isinstance(exc, Exception):
        return Ended(error=exc)
    aborted = StepAborted(key, repr(exc))
    aborted.__cause__ = exc
    return Ended(error=aborted, unknown=True)


def _in_thread(body: Callable[[], Any], key: str, timeout: float) -> Any:
    future: Future[Any] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(body))
        except BaseException as exc:  # noqa: BLE001 - handed to the waiting thread
            future.set_exception(exc)

    thread = threading.Thread(target=run, name=f"durable-step-{key}", daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise StepTimeout(key, timeout)
    return future.result()


def on_own_loop(output: Coroutine[Any, Any, Any]) -> Any:
    """Run it to its end on an event loop of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(output)
    # called from async code without ``runtime.aio``: that code waits here, this one needs a loop that runs
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, output).result()
