"""Python types for translated schemas, as every framework shows them to its model; and values on their way back.

Objects are TypedDicts, so arguments stay plain data. What has no such type (a recursive part, an object of any
shape, a choice between objects) is a text that holds JSON. A model that must fill in every field fills in null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NotRequired, Optional, Required, Union

from typing_extensions import TypedDict  # on Python 3.11 pydantic takes no other

if TYPE_CHECKING:
    from durable.openapi.schemas import Schemas

_PLAIN: dict[str, type] = {"string": str, "integer": int, "number": float, "boolean": bool}
_DEEPEST = 8
JSON_TEXT = str


def annotation(schemas: Schemas, schema: Any, name: str, above: tuple[str, ...] = ()) -> Any:
    """Return the type of values that fit the schema. ``name`` is what a TypedDict is called."""
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    if reference in above or len(above) > _DEEPEST:
        return JSON_TEXT
    below = (*above, reference or name)
    resolved = schemas.resolved(schema)
    if not isinstance(resolved, Mapping):
        return JSON_TEXT
    choices = _allowed_values(resolved)
    if choices:
        return _choice(choices)
    for key in ("anyOf", "oneOf"):
        if key in resolved:
            return _union(schemas, resolved[key], name, below)
    return _of_kinds(schemas, resolved, name, below)


def _allowed_values(resolved: Mapping[str, Any]) -> list[Any]:
    if resolved.get("enum"):
        return list(resolved["enum"])
    return [resolved["const"]] if "const" in resolved else []


def _kinds(resolved: Mapping[str, Any]) -> list[Any]:
    """Return the names of the types that a schema allows; ``[None]`` if it names none."""
    kinds = resolved.get("type", "object" if "properties" in resolved else None)
    return kinds if isinstance(kinds, list) else [kinds]


def _of_kinds(schemas: Schemas, resolved: Mapping[str, Any], name: str, below: tuple[str, ...]) -> Any:
    named = [kind for kind in _kinds(resolved) if kind not in (None, "null")]
    inner = JSON_TEXT
    if len(named) == 1:
        inner = _of_kind(schemas, resolved, named[0], name, below)
    listed = resolved.get("type")
    if isinstance(listed, list) and "null" in listed:
        return Optional[inner]  # noqa: UP045 - a value
    return inner


def _of_kind(schemas: Schemas, resolved: Mapping[str, Any], kind: str, name: str, below: tuple[str, ...]) -> Any:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "array":
        return list[annotation(schemas, resolved.get("items", True), f"{name}Item", below)]  # type: ignore[misc]  # a value
    properties = resolved.get("properties")
    if not properties:
        return JSON_TEXT
    required = resolved.get("required", [])
    fields = {}
    for key, schema in properties.items():
        inner = annotation(schemas, schema, f"{name}{key.title()}".replace(" ", ""), below)
        fields[key] = Required[inner] if key in required else NotRequired[Optional[inner]]  # noqa: UP045 - a value
    return TypedDict(_identifier(name), fields)  # type: ignore[operator]  # made at run time


def _choice(choices: list[Any]) -> Any:
    values = tuple(value for value in choices if value is not None)
    if not values or not all(type(value) in (str, int, bool) for value in values):
        return JSON_TEXT
    inner: Any = Literal[values]  # made at run time
    return Optional[inner] if len(values) < len(choices) else inner  # noqa: UP045 - a value


def _union(schemas: Schemas, variants: list[Any], name: str, below: tuple[str, ...]) -> Any:
    not_null = [variant for variant in variants if schemas.resolved(variant) != {"type": "null"}]
    types = [annotation(schemas, variant, name, below) for variant in not_null]
    plain = len(types) == 1 or all(kind in _PLAIN.values() for kind in types)
    whole = Union[tuple(types)] if plain and types else JSON_TEXT  # noqa: UP007 - a value
    return Optional[whole] if len(not_null) < len(variants) else whole  # noqa: UP045 - a value


def _identifier(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def received(schemas: Schemas, schema: Any, value: Any) -> Any:
    """Return a value as the schema means it: JSON texts are parsed, and nulls that mean "not given" are left out."""
    resolved = schemas.resolved(schema)
    if not isinstance(resolved, Mapping):
        return _parsed(value)
    if isinstance(value, str) and not _takes_text(resolved):
        value = _parsed(value)
    if isinstance(value, list):
        return [received(schemas, resolved.get("items", True), item) for item in value]
    if isinstance(value, Mapping):
        return _received_object(schemas, resolved, value)
    return value


def _takes_text(resolved: Mapping[str, Any]) -> bool:
    return "string" in _kinds(resolved) or "enum" in resolved or "const" in resolved


def _received_object(schemas: Schemas, resolved: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    properties = resolved.get("properties", {})
    required = resolved.get("required", [])
    fields = {}
    for key, item in value.items():
        if key not in properties:
            fields[key] = item
        elif item is not None or key in required or _nullable(schemas, properties[key]):
            fields[key] = received(schemas, properties[key], item)
    return fields


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # the schema says whether a text will do


def _nullable(schemas: Schemas, schema: Any) -> bool:
    resolved = schemas.resolved(schema)
    if not isinstance(resolved, Mapping):
        return True
    kinds = resolved.get("type")
    variants = [*resolved.get("anyOf", []), *resolved.get("oneOf", [])]
    return (
        (isinstance(kinds, list) and "null" in kinds)
        or kinds == "null"
        or any(_nullable(schemas, variant) for variant in variants)
    )
