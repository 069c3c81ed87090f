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
    """The type of values that fit the schema; ``name`` is what a TypedDict is called."""
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    if reference in above or len(above) > _DEEPEST:
        return JSON_TEXT
    below = (*above, reference or name)
    found = schemas.resolved(schema)
    if not isinstance(found, Mapping):
        return JSON_TEXT
    if choices := found.get("enum") or ([found["const"]] if "const" in found else None):
        return _choice(choices)
    for key in ("anyOf", "oneOf"):
        if key in found:
            return _union(schemas, found[key], name, below)
    kinds = found.get("type", "object" if "properties" in found else None)
    named = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind not in (None, "null")]
    inner = JSON_TEXT if len(named) != 1 else _of_kind(schemas, found, named[0], name, below)
    return Optional[inner] if isinstance(kinds, list) and "null" in kinds else inner  # noqa: UP045 - a value


def _of_kind(schemas: Schemas, found: Mapping[str, Any], kind: str, name: str, below: tuple[str, ...]) -> Any:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "array":
        return list[annotation(schemas, found.get("items", True), f"{name}Item", below)]  # type: ignore[misc]  # a value
    properties = found.get("properties")
    if not properties:
        return JSON_TEXT
    required = found.get("required", [])
    fields = {}
    for key, one in properties.items():
        inner = annotation(schemas, one, f"{name}{key.title()}".replace(" ", ""), below)
        fields[key] = Required[inner] if key in required else NotRequired[Optional[inner]]  # noqa: UP045 - a value
    return TypedDict(_identifier(name), fields)  # type: ignore[operator]  # made at run time


def _choice(choices: list[Any]) -> Any:
    values = tuple(value for value in choices if value is not None)
    if not values or not all(type(value) in (str, int, bool) for value in values):
        return JSON_TEXT
    inner: Any = Literal[values]  # made at run time
    return Optional[inner] if len(values) < len(choices) else inner  # noqa: UP045 - a value


def _union(schemas: Schemas, variants: list[Any], name: str, below: tuple[str, ...]) -> Any:
    kinds = [schemas.resolved(one) for one in variants]
    others = [one for one, kind in zip(variants, kinds, strict=True) if kind != {"type": "null"}]
    inner = [annotation(schemas, one, name, below) for one in others]
    plain = len(inner) == 1 or all(kind in _PLAIN.values() for kind in inner)
    whole = Union[tuple(inner)] if plain and inner else JSON_TEXT  # noqa: UP007 - a value
    return Optional[whole] if len(others) < len(variants) else whole  # noqa: UP045 - a value


def _identifier(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def received(schemas: Schemas, schema: Any, value: Any) -> Any:
    """A value as the schema means it: JSON texts parsed, and nulls left out that only stand for "not given"."""
    found = schemas.resolved(schema)
    if not isinstance(found, Mapping):
        return _parsed(value)
    kinds = found.get("type", "object" if "properties" in found else None)
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if isinstance(value, str) and "string" not in kinds and "enum" not in found and "const" not in found:
        value = _parsed(value)
    if isinstance(value, list):
        return [received(schemas, found.get("items", True), item) for item in value]
    if isinstance(value, Mapping):
        properties, required = found.get("properties", {}), found.get("required", [])
        return {
            key: received(schemas, properties[key], item) if key in properties else item
            for key, item in value.items()
            if item is not None or key in required or key not in properties or _nullable(schemas, properties[key])
        }
    return value


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # the schema says whether a text will do


def _nullable(schemas: Schemas, schema: Any) -> bool:
    found = schemas.resolved(schema)
    if not isinstance(found, Mapping):
        return True
    kinds = found.get("type")
    variants = [*found.get("anyOf", []), *found.get("oneOf", [])]
    return (
        (isinstance(kinds, list) and "null" in kinds)
        or kinds == "null"
        or any(_nullable(schemas, variant) for variant in variants)
    )
