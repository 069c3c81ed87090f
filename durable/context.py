"""Where the code that runs now stands: in which execution, in which scope, in which step.

One ContextVar, copied into tasks and threads by asyncio and by the frameworks. Scopes nest (node, sub-graph, tool,
sub-agent) and give steps their keys.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.checkpoint.errors import NoExecution, Unsupported
from durable.dependencies import Dependencies
from durable.ids import new_id
from durable.secrets.logs import redacting
from durable.secrets.store import Secrets, SecretStore

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from durable.segment import Segment


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of the call it serves.

    ``idempotency_key`` is the same on every attempt and worker: hand it to the outside system. ``deadline_at`` is an
    instant in epoch seconds. ``dependencies`` are those of ``Runtime(dependencies=...)``. ``connection`` is the open
    transaction of a ``transactional`` tool, None for others.
    """

    execution_id: str
    step_key: str
    attempt: int
    idempotency_key: str
    deadline_at: float | None
    thread: str | None
    dependencies: Dependencies = field(default_factory=Dependencies, repr=False)
    secrets: Secrets = field(default_factory=Secrets)
    log: logging.Logger | logging.LoggerAdapter[logging.Logger] = field(default=redacting("durable.tool"), repr=False)
    connection: Any = field(default=None, repr=False)


def running() -> tuple[int, asyncio.Task[Any] | None]:
    """The thread, and in async code the task, that runs now."""
    try:
        return threading.get_ident(), asyncio.current_task()
    except RuntimeError:
        return threading.get_ident(), None


@dataclass(frozen=True, slots=True)
class Scope:
    """A place in an execution.

    ``inside`` are the bodies of the steps of these keys, ``body_of`` the names of the innermost. ``line`` is the thread
    and the task in which the place was entered; code that runs here in another one is a branch of it.
    """

    segment: Segment
    path: str
    tool_context: ToolContext
    body_of: frozenset[str] = frozenset()
    inside: tuple[str, ...] = ()
    in_transaction: bool = False
    line: object = field(default_factory=running, compare=False, repr=False)

    @property
    def branched(self) -> bool:
        """Whether the code that runs now is a branch of this place: it runs beside the place's own line."""
        return self.line != running()

    def outside_of_transactions(self, call: str) -> None:
        """Raise Unsupported for a durable call inside a transactional step: its record would wait for itself."""
        if self.in_transaction:
            msg = (
                f"{call} was called inside the transactional step {self.path!r}, which commits its own record; "
                "make the call before or after it"
            )
            raise Unsupported(msg)


_scope: ContextVar[Scope | None] = ContextVar("durable_scope", default=None)


def scope() -> Scope | None:
    """The scope of the code that runs now; None outside of executions."""
    return _scope.get()


def segment() -> Segment | None:
    """The segment of the code that runs now; None outside of executions."""
    here = _scope.get()
    return None if here is None else here.segment


def here() -> Scope:
    """The scope of the code that runs now. Raises NoExecution outside of executions."""
    found = _scope.get()
    if found is None:
        raise NoExecution
    return found


def current() -> ToolContext:
    """The context of the step, or of the execution, that the caller runs in. Raises NoExecution outside of one."""
    return here().tool_context


@contextmanager
def within(inner: Scope) -> Iterator[Scope]:
    """Run the block in this scope."""
    token = _scope.set(inner)
    try:
        yield inner
    finally:
        _scope.reset(token)


@contextmanager
def undriven() -> Iterator[None]:
    """Run the block as if it stood in no execution: what it calls is no step."""
    token = _scope.set(None)
    try:
        yield
    finally:
        _scope.reset(token)


_OUTSIDE = SecretStore()


def detached(tool: str, secrets: tuple[str, ...] = ()) -> ToolContext:
    """A context for a tool that is called outside of any execution: nothing is recorded, the key is used once.

    Its secrets come from the environment.
    """
    return ToolContext(
        execution_id="",
        step_key=tool,
        attempt=1,
        idempotency_key=new_id(),
        deadline_at=None,
        thread=None,
        secrets=Secrets(secrets, _OUTSIDE),
    )
