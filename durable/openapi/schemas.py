"""Schemas of any OpenAPI version as JSON Schema 2020-12, references and recursion kept, and nothing fetched.

What is only read from a server (``readOnly``) is left out, as these schemas are for what is sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from functools import cache
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry

from durable.openapi.errors import ArgumentsInvalid, SpecInvalid

if TYPE_CHECKING:
    from durable.openapi.document import Document

_SCHEMAS = (
    "items",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "not",
    "contains",
    "propertyNames",
    "if",
    "then",
    "else",
)
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "dependentSchemas")
_KEPT = frozenset(
    {
        *("type", "enum", "const", "default", "title", "description", "format", "required", "dependentRequired"),
        *("contentEncoding", "contentMediaType", "pattern", "minLength", "maxLength", "minProperties", "maxProperties"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minItems", "maxItems", "uniqueItems", "minContains", "maxContains"),
    }
)


class Schemas:
    """The schemas of one document, translated once; those that others refer to are in ``definitions``."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._old = document.version != "3.1"
        self._names: dict[str, str] = {}
        self.definitions: dict[str, Any] = {}

    def translated(self, schema: Any) -> Any:
        """One schema in JSON Schema 2020-12; its references lead into ``#/$defs``. Raises SpecInvalid."""
        if not isinstance(schema, Mapping):
            return schema if isinstance(schema, bool) else {}
        if isinstance(pointer := schema.get("$ref"), str):
            here = {"$ref": f"#/$defs/{self._definition(pointer)}"}
            beside = {} if self._old else self.translated({key: val for key, val in schema.items() if key != "$ref"})
            return here | beside
        if "$dynamicRef" in schema:
            msg = f"the reference {schema['$dynamicRef']!r} is dynamic, which is not supported"
            raise SpecInvalid(msg)
        out = self._translated_parts(schema)
        unsent = set(self._unsent(schema))
        for part in (out, *(one for one in out.get("allOf", ()) if isinstance(one, dict))):
            if unsent and "required" in part:
                part["required"] = [name for name in part["required"] if name not in unsent]
        if (pattern := out.get("pattern")) is not None:
            _check_pattern(pattern)
        return self._of_old(schema, out) if self._old else out

    def _translated_parts(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {key: value for key, value in schema.items() if key in _KEPT}
        for key in _SCHEMAS:
            if key in schema:
                out[key] = self.translated(schema[key])
        for key in _LISTS:
            if key in schema:
                out[key] = [self.translated(one) for one in schema[key]]
        for key in _MAPS:
            if key in schema:
                out[key] = {name: self.translated(one) for name, one in schema[key].items() if self._is_sent(one)}
        return out

    def _of_old(self, schema: Mapping[str, Any], out: dict[str, Any]) -> dict[str, Any]:
        for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(out.get(bound), bool) and out.pop(bound) and limit in out:
                out[bound] = out.pop(limit)
        if out.get("type") == "file":
            out |= {"type": "string", "format": "binary"}
        if schema.get("nullable") is True or schema.get("x-nullable") is True:
            if "enum" in out and None not in out["enum"]:
                out["enum"] = [*out["enum"], None]
            if isinstance(out.get("type"), str):
                out["type"] = [out["type"], "null"]
            elif any(key in out for key in _LISTS):
                return {"anyOf": [out, {"type": "null"}]}
        return out

    def _unsent(self, schema: Any) -> Iterator[str]:
        """The names of an object's properties that are only read, those of the parts of an ``allOf`` included."""
        found = self._document.followed(schema)
        if isinstance(found, Mapping):
            yield from (name for name, one in found.get("properties", {}).items() if not self._is_sent(one))
            for part in found.get("allOf", ()):
                yield from self._unsent(part)

    def _is_sent(self, schema: Any) -> bool:
        found = self._document.followed(schema)
        return not (isinstance(found, Mapping) and found.get("readOnly") is True)

    def _definition(self, pointer: str) -> str:
        if pointer not in self._names:
            name = re.sub(r"\W+", "_", pointer.rpartition("/")[2]) or "root"
            while name in self.definitions:
                name += "_"
            self._names[pointer] = name
            self.definitions[name] = {}  # it may refer to itself
            self.definitions[name] = _sound(self.translated(self._document.at(pointer)))
        return self._names[pointer]

    def resolved(self, schema: Any) -> Any:
        """A translated schema, its own reference followed and the parts of an ``allOf`` put together."""
        seen: set[str] = set()
        while isinstance(schema, Mapping) and "$ref" in schema and schema["$ref"] not in seen:
            seen.add(schema["$ref"])
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self.definitions[schema["$ref"].rpartition("/")[2]], **beside}
        if not isinstance(schema, Mapping) or "allOf" not in schema:
            return schema
        whole = {key: value for key, value in schema.items() if key != "allOf"}
        for part in map(self.resolved, schema["allOf"]):
            if isinstance(part, Mapping):
                own = whole.get("properties", {})
                properties = {**own, **part.get("properties", {}), **own}
                required = [*whole.get("required", []), *part.get("required", [])]
                whole = {**part, **whole, "properties": properties, "required": list(dict.fromkeys(required))}
        return {key: value for key, value in whole.items() if value or key not in {"properties", "required"}}

    def is_file(self, schema: Any) -> bool:
        """Whether values are bytes that JSON has no form for, or lists of such."""
        found = self.resolved(schema)
        if isinstance(found, Mapping) and found.get("type") == "array":
            return self.is_file(found.get("items", True))
        if not isinstance(found, Mapping) or "contentEncoding" in found:
            return False
        return found.get("format") == "binary" or "contentMediaType" in found

    def checker(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        """What checks values by a translated schema. It fetches nothing. Raises SpecInvalid for what is no schema."""
        whole = {**_sound(schema), "$defs": self.definitions}
        return _Validator(whole, format_checker=FormatChecker(), registry=Registry())  # type: ignore[no-any-return]  # the class that extend() makes


def _sound(schema: Any) -> Any:
    """The schema. Raises SpecInvalid for what is none."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as exc:
        where = "/".join(map(str, exc.absolute_path))
        msg = f"a schema is none: {where}: {exc.message[:500]}"
        raise SpecInvalid(msg) from exc
    return schema


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not re.search(_as_python(pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _multiple_of(_: Any, step: float, value: Any, __: Any) -> Iterator[ValidationError]:
    """In decimal: 19.99 is a multiple of 0.01."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        with localcontext(prec=1000):
            if Decimal(str(value)) % Decimal(str(step)):
                yield ValidationError(f"{value!r} is not a multiple of {step!r}")


_Validator: Any = extend(Draft202012Validator, {"pattern": _pattern, "multipleOf": _multiple_of})  # type: ignore[no-untyped-call]


@cache
def _as_python(pattern: str) -> re.Pattern[str]:
    """A pattern of ECMAScript: there ``$`` is the very end, and digits and letters are those of ASCII."""
    inside, out = False, []
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        inside = part == "[" or (inside and part != "]")
        out.append(r"\Z" if part == "$" and not inside else part)
    return re.compile("".join(out), re.ASCII)


def check(checker: Draft202012Validator, arguments: Mapping[str, Any], tool: str) -> None:
    """Raise ArgumentsInvalid, saying where, for arguments that do not fit."""
    error = best_match(checker.iter_errors(arguments))
    if error is not None:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        msg = f"{tool}{where}: {error.message[:500]}; nothing was sent"
        raise ArgumentsInvalid(msg)


def _check_pattern(pattern: str) -> None:
    try:
        _as_python(pattern)
    except re.error as exc:
        msg = f"the pattern {pattern!r} cannot be checked: {exc}"
        raise SpecInvalid(msg) from exc
