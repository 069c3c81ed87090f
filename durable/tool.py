"""Tools: a plain function that says what it does to the world.

``@tool`` changes nothing for a caller outside of executions. Inside one, a call becomes a step under the tool's
policy, unless an adapter has made it one already. A parameter annotated ``ToolContext`` is filled in, and is never
part of the signature that a framework shows to a model.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durable.checkpoint.errors import Unsupported
from durable.context import ToolContext, detached, scope
from durable.declared import declare
from durable.policies import governing
from durable.policy import Effect, ToolPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.breaker import Breaker
    from durable.policy import Approval
    from durable.rate import Rate
    from durable.retry import Retry
    from durable.rules import Rule

F = TypeVar("F")

ATTRIBUTE = "__durable_policy__"
REMEMBERED = 1024
"""Functions whose signature is remembered: a step looks at it each time."""


_PLAIN = "__durable_function__"
_PLAIN_VALUES = frozenset({str, int, float, bool, type(None)})


def plain(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function that ``@tool`` was put on; any other function itself."""
    return getattr(fn, _PLAIN, fn)


def policy_of(fn: object) -> ToolPolicy | None:
    """The policy that ``@tool`` gave to this object, or to the function inside a framework's tool."""
    for found in (fn, getattr(fn, "func", None), getattr(fn, "coroutine", None), getattr(fn, "__wrapped__", None)):
        policy = getattr(found, ATTRIBUTE, None)
        if isinstance(policy, ToolPolicy):
            return policy
    return None


@overload
def tool(fn: F, /) -> F: ...
@overload
def tool(
    *,
    effect: Effect = "once",
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
) -> Callable[[F], F]: ...


def tool(fn: Any = None, /, **options: Any) -> Any:
    """Declare a tool's policy; see ToolPolicy for the options. Works on functions and on a framework's tool objects.

    Raises Unsupported for ``effect="transactional"`` on an async function, InvalidConfiguration for an unknown effect.
    """
    if fn is None:
        return functools.partial(_declare, policy=ToolPolicy(**options))
    return _declare(fn, policy=ToolPolicy(**options))


def _declare(fn: Any, *, policy: ToolPolicy) -> Any:
    declare(str(getattr(fn, "name", None) or getattr(fn, "__name__", "")), policy)
    if not inspect.isroutine(fn):
        object.__setattr__(fn, ATTRIBUTE, policy)
        return fn
    is_async = inspect.iscoroutinefunction(fn)
    if is_async and policy.effect == "transactional":
        msg = f"{fn.__name__}: effect='transactional' needs a synchronous function, it runs inside the transaction"
        raise Unsupported(msg)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        here = scope()
        if here is None:
            return fn(*args, **with_context(fn, args, kwargs, detached(fn.__name__, policy.secrets)))
        if fn.__name__ in here.body_of:
            return fn(*args, **with_context(fn, args, kwargs, here.tool_context))
        from durable.calls import call_as_step  # noqa: PLC0415 - calls builds on this module

        found = governing(here, fn.__name__, policy)
        return call_as_step(here, fn, fn.__name__, args, kwargs, policy=found, kind="tool")

    wrapper = call
    if is_async:

        @functools.wraps(fn)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            return await call(*args, **kwargs)

        wrapper = call_async
    setattr(wrapper, ATTRIBUTE, policy)
    setattr(wrapper, _PLAIN, fn)
    _hide_context(wrapper, fn)
    return wrapper


def context_parameter(fn: Callable[..., Any]) -> str | None:
    """The name of the parameter annotated ToolContext, if there is one."""
    try:
        return _context_parameter(fn)
    except TypeError:  # a callable that cannot be hashed is not remembered
        return _context_parameter.__wrapped__(fn)


@functools.lru_cache(maxsize=REMEMBERED)
def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(fn)


def signature(fn: Callable[..., Any]) -> inspect.Signature:
    """``inspect.signature``, once for each function. Raises ValueError where there is none."""
    try:
        return _signature(fn)
    except TypeError:
        return inspect.signature(fn)


@functools.lru_cache(maxsize=REMEMBERED)
def _context_parameter(fn: Callable[..., Any]) -> str | None:
    annotations = getattr(fn, "__annotations__", {})
    for name, annotation in annotations.items():
        if _is_context(annotation):
            return str(name)
        if isinstance(annotation, str) and "ToolContext" in annotation:
            try:
                hints = typing.get_type_hints(fn)
            except Exception:  # noqa: BLE001 - an annotation of the user's that does not resolve is not ours to judge
                hints = {}
            if _is_context(hints.get(name)) or (not hints and _names_context(annotation, fn)):
                return str(name)
    return None


def _is_context(annotation: Any) -> bool:
    return annotation is ToolContext or ToolContext in typing.get_args(annotation)


def _names_context(annotation: str, fn: Callable[..., Any]) -> bool:
    """By its name, where another annotation does not resolve; frameworks have a ToolContext of their own."""
    found = getattr(fn, "__globals__", {}).get("ToolContext", ToolContext)
    return found is ToolContext and annotation.removesuffix(" | None").endswith("ToolContext")


def with_context(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], context: ToolContext
) -> dict[str, Any]:
    """The keyword arguments, with the context filled in where the function asks for it and the caller gave none."""
    name = context_parameter(fn)
    if name is None or name in kwargs:
        return dict(kwargs)
    names = list(signature(fn).parameters)
    if names.index(name) < len(args):
        return dict(kwargs)
    return {**kwargs, name: context}


def bound(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by parameter name, without the context: what is hashed, recorded and decided upon."""
    try:
        arguments = dict(signature(fn).bind_partial(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        arguments = {"args": list(args), **kwargs}
    name = context_parameter(fn)
    return {key: value for key, value in arguments.items() if key != name}


def left_out(fn: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of the parameters that a call with these arguments leaves out, where they are plain values."""
    try:
        defaults = _defaults(fn)
    except TypeError:
        defaults = _defaults.__wrapped__(fn)
    return {name: value for name, value in defaults.items() if name not in arguments}


@functools.lru_cache(maxsize=REMEMBERED)
def _defaults(fn: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        parameters = signature(fn).parameters
    except (TypeError, ValueError):
        return {}
    context = context_parameter(fn)
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if type(parameter.default) in _PLAIN_VALUES
        and parameter.kind is not parameter.POSITIONAL_ONLY
        and name != context
    }


def unbound(fn: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What ``bound`` was given: positional and keyword arguments of a call with these."""
    try:
        call = inspect.BoundArguments(signature(fn), OrderedDict(arguments))
    except (TypeError, ValueError):
        return (), dict(arguments)
    return call.args, call.kwargs


def _hide_context(wrapper: Any, fn: Callable[..., Any]) -> None:
    name = context_parameter(fn)
    if name is None:
        return
    whole = signature(fn)
    kept = [parameter for key, parameter in whole.parameters.items() if key != name]
    wrapper.__signature__ = whole.replace(parameters=kept)
    wrapper.__annotations__ = {key: value for key, value in fn.__annotations__.items() if key != name}
    # inspect follows __wrapped__ for annotations in frameworks that unwrap; the hidden parameter must not come back
    del wrapper.__wrapped__
