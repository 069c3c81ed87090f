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

from durable.errors import NoExecution, Unsupported
from durable.live.leases import driven_here

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durable.declare.policy import ToolPolicy
    from durable.live.segment import Segment
    from durable.live.tool_context import ToolContext


def running() -> tuple[int, asyncio.Task[Any] | None]:
    """The thread, and in async code the task, that runs now."""
    try:
        return threading.get_ident(), asyncio.current_task()
    except RuntimeError:
        return threading.get_ident(), None


@dataclass(frozen=True, slots=True)
class Scope:
    """A place in an execution.

    ``inside`` are the bodies of the steps of these keys. ``bodies`` is what runs as the innermost: the function and the
    framework's own tool. ``line`` is the thread and the task in which the place was entered; code that runs here in
    another one is a branch of it. ``is_plain`` is the body of a plain function that a framework calls on its event
    loop: it cannot await what it calls.
    """

    segment: Segment
    path: str
    tool_context: ToolContext
    bodies: tuple[Any, ...] = ()
    inside: tuple[str, ...] = ()
    in_transaction: bool = False
    is_plain: bool = False
    line: object = field(default_factory=running, compare=False, repr=False)

    def runs(self, body: object) -> bool:
        """True if the code that runs now is the body of this very function or tool, and not of one of the same name."""
        return any(body is each for each in self.bodies)

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
_undriven: ContextVar[bool] = ContextVar("durable_undriven", default=False)


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
    token, outside = _scope.set(None), _undriven.set(True)
    try:
        yield
    finally:
        _scope.reset(token)
        _undriven.reset(outside)


def lost(tool: str, policy: ToolPolicy) -> str | None:
    """Return why a gated tool cannot run without a scope while this process drives executions; None if it can.

    A thread pool that does not copy context variables has lost the execution, and with it the decision that is needed.
    """
    if _undriven.get():
        return None
    for segment in driven_here():
        governing = segment.runtime.policies.of_tool(tool, app=segment.execution.app, agent=segment.execution.app)
        if (governing or policy).gate is not None:
            return (
                f"{tool} needs an approval and was called where its execution is not known, while "
                f"{segment.execution.id!r} runs in this process: a thread or an executor that does not copy context "
                "variables. Use asyncio.to_thread, or contextvars.copy_context().run in the thread"
            )
    return None


def root(segment: Segment) -> Scope:
    """Return the outermost scope of an execution."""
    execution = segment.execution
    context = segment.context("", "execution", attempt=execution.attempts, idempotency_key=execution.id)
    return Scope(segment, "", context)
