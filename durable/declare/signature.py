"""Signatures: the arguments of a call by parameter name, and the parameter that durable fills in."""

from __future__ import annotations

import functools
import inspect
import typing
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from durable.declare.policy import ToolPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Injected:
    """Marks the type of a parameter that durable fills in; no framework shows it to a model."""

    __slots__ = ()


ATTRIBUTE = "__durable_policy__"


REMEMBERED = 1024
"""Functions whose signature is remembered: a step looks at it each time."""


PLAIN = "__durable_function__"


_PLAIN_VALUES = frozenset({str, int, float, bool, type(None)})


def plain(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that ``@tool`` was put on; any other function itself."""
    return getattr(fn, PLAIN, fn)


def policy_of(fn: object) -> ToolPolicy | None:
    """Return the policy that ``@tool`` gave to this object, or to the function inside a framework's tool."""
    for carrier in (fn, getattr(fn, "func", None), getattr(fn, "coroutine", None), getattr(fn, "__wrapped__", None)):
        policy = getattr(carrier, ATTRIBUTE, None)
        if isinstance(policy, ToolPolicy):
            return policy
    return None


def context_parameter(fn: Callable[..., Any]) -> str | None:
    """Return the name of the parameter annotated ToolContext; None if there is none."""
    try:
        return _context_parameter(fn)
    except TypeError:  # a callable that cannot be hashed is not remembered
        return _context_parameter.__wrapped__(fn)


@functools.lru_cache(maxsize=REMEMBERED)
def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(fn)


def signature(fn: Callable[..., Any]) -> inspect.Signature:
    """Return ``inspect.signature``, made once for each function. Raises ValueError where there is none."""
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
    return any(
        isinstance(kind, type) and issubclass(kind, Injected) for kind in (annotation, *typing.get_args(annotation))
    )


def _names_context(annotation: str, fn: Callable[..., Any]) -> bool:
    """True if the annotation means our ToolContext by its name, where another annotation does not resolve.

    Frameworks have a ToolContext of their own.
    """
    meant = getattr(fn, "__globals__", {}).get("ToolContext", Injected)
    return _is_context(meant) and annotation.removesuffix(" | None").endswith("ToolContext")


def with_context(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], context: Injected
) -> dict[str, Any]:
    """Return the keyword arguments, with the context filled in if the function takes it and the caller gave none."""
    name = context_parameter(fn)
    if name is None or name in kwargs:
        return dict(kwargs)
    names = list(signature(fn).parameters)
    if names.index(name) < len(args):
        return dict(kwargs)
    return {**kwargs, name: context}


def bound(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by parameter name, without the context.

    These are hashed, recorded and decided upon.
    """
    try:
        arguments = dict(signature(fn).bind_partial(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        arguments = {"args": list(args), **kwargs}
    name = context_parameter(fn)
    return {key: value for key, value in arguments.items() if key != name}


def left_out(fn: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of parameters that a call with these arguments leaves out, where they are plain values."""
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
    """Return positional and keyword arguments of a call with these: the reverse of ``bound``."""
    try:
        call = inspect.BoundArguments(signature(fn), OrderedDict(arguments))
    except (TypeError, ValueError):
        return (), dict(arguments)
    return call.args, call.kwargs


def hide_context(wrapper: Any, fn: Callable[..., Any]) -> None:
    """Take the parameter that durable fills in out of the signature of ``wrapper``."""
    name = context_parameter(fn)
    if name is None:
        return
    whole = signature(fn)
    shown = [parameter for key, parameter in whole.parameters.items() if key != name]
    wrapper.__signature__ = whole.replace(parameters=shown)
    wrapper.__annotations__ = {key: value for key, value in fn.__annotations__.items() if key != name}
    # inspect follows __wrapped__ for annotations in frameworks that unwrap; the hidden parameter must not come back
    del wrapper.__wrapped__
