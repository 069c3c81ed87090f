"""Schemas: which arguments a call can be made with, asked before a person is.

A call that cannot run is refused at once: nobody decides on it, and its caller is told why. What a person edits is
checked against the same schema where it is decided, by JSON Schema, so that any process can.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from durable.declare.patterns import linear
from durable.declare.signature import context_parameter, signature

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def misfit(schema: Mapping[str, Any] | None, arguments: Any) -> str | None:
    """Why these arguments do not fit, in words; None if they do, or if there is no schema to say so."""
    if not schema:
        return None
    from jsonschema import SchemaError  # noqa: PLC0415 - only where a call is decided upon
    from jsonschema.exceptions import best_match  # noqa: PLC0415
    from jsonschema.validators import validator_for  # noqa: PLC0415

    try:
        validator = validator_for(schema)
        validator.check_schema(dict(schema))
    except SchemaError:
        return None  # a framework's own dialect
    error = best_match(linear(validator)(schema).iter_errors(arguments))
    if error is None:
        return None
    place = ".".join(str(part) for part in error.absolute_path)
    return f"{place}: {error.message}" if place else error.message


def lenient(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same, where what has a default or may be null may be left out, and more be given: as frameworks take it."""
    properties = schema.get("properties", {})
    required = [name for name in schema.get("required", ()) if not _may_be_left_out(properties.get(name, {}))]
    return {key: value for key, value in schema.items() if key != "additionalProperties"} | {"required": required}


def _may_be_left_out(about: Any) -> bool:
    if not isinstance(about, Mapping):
        return False
    kinds = {about.get("type") if isinstance(about.get("type"), str) else None}
    kinds |= {one.get("type") for one in about.get("anyOf", ()) if isinstance(one, Mapping)}
    return "default" in about or "null" in kinds


def of_model(model: Any, arguments: Any) -> Mapping[str, Any] | None:
    """The schema of a pydantic model; None if there is none, or if the model takes what does not fit its schema."""
    try:
        schema = lenient(model.model_json_schema())
        if misfit(schema, arguments) is None:
            return schema
    except Exception:  # noqa: BLE001 - a model of the user's that has no JSON Schema: nothing is checked by it
        return None
    try:
        model.model_validate(arguments)
    except ValueError:
        return schema
    return None


def fitting(schema: Mapping[str, Any] | None, arguments: Any) -> Mapping[str, Any] | None:
    """The schema, if these arguments fit it: values of Python do not, though their annotations do."""
    return schema if misfit(schema, arguments) is None else None


def of_function(fn: Callable[..., Any]) -> Mapping[str, Any] | None:
    """The JSON Schema of a function's arguments, from its annotations; None if none can be made of them."""
    try:
        return _of_function(fn)
    except TypeError:  # a callable that cannot be hashed is not remembered
        return _of_function.__wrapped__(fn)


@functools.lru_cache(maxsize=256)
def _of_function(fn: Callable[..., Any]) -> Mapping[str, Any] | None:
    from pydantic import TypeAdapter  # noqa: PLC0415 - only where a call is decided upon
    from typing_extensions import TypedDict  # noqa: PLC0415

    try:
        hints = typing.get_type_hints(fn, include_extras=True)
        parameters = signature(fn).parameters
        fields: dict[str, Any] = {}
        for name, parameter in parameters.items():
            if name == context_parameter(fn):
                continue
            if parameter.kind in _VARIADIC:
                return None
            kind = hints.get(name, Any)
            fields[name] = kind if parameter.default is parameter.empty else typing.NotRequired[kind]
        make: Any = TypedDict
        return TypeAdapter(make("arguments", fields)).json_schema()
    except Exception:  # noqa: BLE001 - an annotation of the user's that has no JSON Schema: nothing is checked by it
        return None
