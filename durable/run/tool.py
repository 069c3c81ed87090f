"""Tools: a plain function that says what it does to the world.

``@tool`` changes nothing for a caller outside executions. Inside one, a call becomes a step under the tool's
policy, unless an adapter has made it one already. A parameter annotated ``ToolContext`` is filled in, and is never
part of the signature that a framework shows to a model.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durable.declare.policy import ToolPolicy
from durable.declare.registry import declare
from durable.declare.signature import ATTRIBUTE, PLAIN, hide_context, with_context
from durable.errors import Unsupported
from durable.live.scope import lost, scope, within
from durable.live.tool_context import detached
from durable.record.kinds import TOOL
from durable.step.governing import governing

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.declare.breaker import Breaker
    from durable.declare.effects import EffectName
    from durable.declare.policy import Approval, OnRepeat
    from durable.declare.rate import Rate
    from durable.declare.retry import Retry
    from durable.declare.rules import Rule
    from durable.live.scope import Scope


F = TypeVar("F")


@overload
def tool(fn: F, /) -> F: ...


@overload
def tool(
    *,
    effect: EffectName = "once",
    approval: Approval | bool | None = None,
    timeout: float | None = None,
    retry: Retry | None = None,
    reconcile: Callable[..., Any] | None = None,
    compensate: Callable[..., Any] | None = None,
    idempotency_key: Callable[[Any], str] | None = None,
    secrets: tuple[str, ...] = (),
    rate: Rate | None = None,
    breaker: Breaker | None = None,
    allowed_when: Rule | None = None,
    tags: tuple[str, ...] = (),
    on_repeat: OnRepeat | None = None,
) -> Callable[[F], F]: ...


def tool(fn: Any = None, /, **options: Any) -> Any:
    """Declare a tool's policy; see ToolPolicy for the options. Works on functions and on a framework's tool objects.

    Raises Unsupported for a generator function, which a framework would call without running it, and for
    ``effect="transactional"`` on an async function; InvalidConfiguration for an unknown effect.
    """
    if fn is None:
        return functools.partial(_declare, policy=ToolPolicy(**options))
    return _declare(fn, policy=ToolPolicy(**options))


def _declare(fn: Any, *, policy: ToolPolicy) -> Any:
    declare(str(getattr(fn, "name", None) or getattr(fn, "__name__", "")), policy)
    if not inspect.isroutine(fn):
        object.__setattr__(fn, ATTRIBUTE, policy)
        return fn
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        msg = f"{fn.__name__}: a tool that is a generator function; return a list of what it yields"
        raise Unsupported(msg)
    is_async = inspect.iscoroutinefunction(fn)
    if is_async and policy.does.in_transaction:
        msg = f"{fn.__name__}: effect='transactional' needs a synchronous function, it runs inside the transaction"
        raise Unsupported(msg)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        current = scope()
        if current is None:
            if (reason := lost(fn.__name__, policy)) is not None:
                raise Unsupported(reason)
            return fn(*args, **with_context(fn, args, kwargs, detached(fn.__name__, policy.secrets)))
        if current.runs(fn):
            return _as_body(fn, current, args, with_context(fn, args, kwargs, current.tool_context))
        from durable.run.calls import call_as_step  # noqa: PLC0415 - calls builds on this module

        governed = governing(current, fn.__name__, policy)
        return call_as_step(current, fn, fn.__name__, args, kwargs, policy=governed, kind=TOOL)

    wrapper = call
    if is_async:

        @functools.wraps(fn)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            return await call(*args, **kwargs)

        wrapper = call_async
    setattr(wrapper, ATTRIBUTE, policy)
    setattr(wrapper, PLAIN, fn)
    hide_context(wrapper, fn)
    return wrapper


def _as_body(fn: Any, current: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the function as the body of the step in which it stands. What it calls, itself as well, is another step."""
    inside = replace(current, bodies=())
    if inspect.iscoroutinefunction(fn):

        async def run() -> Any:
            with within(inside):
                return await fn(*args, **kwargs)

        return run()
    with within(inside):
        return fn(*args, **kwargs)
