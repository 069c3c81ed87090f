"""Translate schemas of any OpenAPI version into JSON Schema 2020-12. References and recursion stay.

Nothing is fetched. Properties that are only read from a server (``readOnly``) are left out, because these schemas are
for what is sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry

from durable.declare.patterns import KEYWORDS, compiled
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
    """Schemas of one document, translated once. Those that others refer to are in ``definitions``."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._old = document.version != "3.1"
        self._names: dict[str, str] = {}
        self.definitions: dict[str, Any] = {}

    def translated(self, schema: Any) -> Any:
        """Return one schema in JSON Schema 2020-12. Its references lead into ``#/$defs``. Raises SpecInvalid."""
        if not isinstance(schema, Mapping):
            return schema if isinstance(schema, bool) else {}
        if isinstance(schema.get("$ref"), str):
            return self._translated_reference(schema)
        if "$dynamicRef" in schema:
            msg = f"the reference {schema['$dynamicRef']!r} is dynamic, which is not supported"
            raise SpecInvalid(msg)
        out = self._translated_parts(schema)
        self._require_only_sent(schema, out)
        pattern = out.get("pattern")
        if pattern is not None:
            _check_pattern(pattern)
        return self._of_old(schema, out) if self._old else out

    def _translated_reference(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        reference = {"$ref": f"#/$defs/{self._definition(schema['$ref'])}"}
        if self._old:
            return reference
        beside: dict[str, Any] = self.translated({key: value for key, value in schema.items() if key != "$ref"})
        return reference | beside

    def _require_only_sent(self, schema: Mapping[str, Any], out: dict[str, Any]) -> None:
        """Take the names of properties that are only read out of ``required``."""
        unsent = set(self._unsent(schema))
        if not unsent:
            return
        parts = [out, *(part for part in out.get("allOf", ()) if isinstance(part, dict))]
        for part in parts:
            if "required" in part:
                part["required"] = [name for name in part["required"] if name not in unsent]

    def _translated_parts(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {key: value for key, value in schema.items() if key in _KEPT}
        for key in _SCHEMAS:
            if key in schema:
                out[key] = self.translated(schema[key])
        for key in _LISTS:
            if key in schema:
                out[key] = [self.translated(part) for part in schema[key]]
        for key in _MAPS:
            if key in schema:
                out[key] = {name: self.translated(part) for name, part in schema[key].items() if self._is_sent(part)}
        return out

    def _of_old(self, schema: Mapping[str, Any], out: dict[str, Any]) -> dict[str, Any]:
        for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(out.get(bound), bool) and out.pop(bound) and limit in out:
                out[bound] = out.pop(limit)
        if out.get("type") == "file":
            out |= {"type": "string", "format": "binary"}
        if schema.get("nullable") is True or schema.get("x-nullable") is True:
            return _with_null(out)
        return out

    def _unsent(self, schema: Any) -> Iterator[str]:
        """Return the names of properties that are only read, those of the parts of an ``allOf`` included."""
        target = self._document.followed(schema)
        if isinstance(target, Mapping):
            yield from (
                name
                for name, property_schema in target.get("properties", {}).items()
                if not self._is_sent(property_schema)
            )
            for part in target.get("allOf", ()):
                yield from self._unsent(part)

    def _is_sent(self, schema: Any) -> bool:
        target = self._document.followed(schema)
        return not (isinstance(target, Mapping) and target.get("readOnly") is True)

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
        """Return a translated schema with its own reference followed and the parts of an ``allOf`` put together."""
        target = self._dereferenced(schema)
        if not isinstance(target, Mapping) or "allOf" not in target:
            return target
        whole = {key: value for key, value in target.items() if key != "allOf"}
        for part in target["allOf"]:
            whole = _merged(whole, self.resolved(part))
        return {key: value for key, value in whole.items() if value or key not in {"properties", "required"}}

    def _dereferenced(self, schema: Any) -> Any:
        followed: set[str] = set()
        while isinstance(schema, Mapping) and "$ref" in schema and schema["$ref"] not in followed:
            followed.add(schema["$ref"])
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self.definitions[schema["$ref"].rpartition("/")[2]], **beside}
        return schema

    def is_file(self, schema: Any) -> bool:
        """True if values are bytes that JSON has no form for, or lists of such."""
        resolved = self.resolved(schema)
        if isinstance(resolved, Mapping) and resolved.get("type") == "array":
            return self.is_file(resolved.get("items", True))
        if not isinstance(resolved, Mapping) or "contentEncoding" in resolved:
            return False
        return resolved.get("format") == "binary" or "contentMediaType" in resolved

    def checker(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        """Return a validator for values of a translated schema. It fetches nothing.

        Raises SpecInvalid for what is no schema.
        """
        whole = {**_sound(schema), "$defs": self.definitions}
        return _Validator(whole, format_checker=FormatChecker(), registry=Registry())  # type: ignore[no-any-return]  # the class that extend() makes


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema, changed so that it allows null too."""
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    elif any(key in schema for key in _LISTS):
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


def _merged(whole: dict[str, Any], part: Any) -> dict[str, Any]:
    """Return one schema for both; where they differ, ``whole`` counts."""
    if not isinstance(part, Mapping):
        return whole
    own = whole.get("properties", {})
    properties = {**own, **part.get("properties", {}), **own}
    required = [*whole.get("required", []), *part.get("required", [])]
    return {**part, **whole, "properties": properties, "required": list(dict.fromkeys(required))}


def _sound(schema: Any) -> Any:
    """Return the schema. Raises SpecInvalid if it is none."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as exc:
        where = "/".join(map(str, exc.absolute_path))
        msg = f"a schema is none: {where}: {exc.message[:500]}"
        raise SpecInvalid(msg) from exc
    return schema


def _multiple_of(_: Any, step: float, value: Any, __: Any) -> Iterator[ValidationError]:
    """Check in decimal, where 19.99 is a multiple of 0.01."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        with localcontext(prec=1000):
            if Decimal(str(value)) % Decimal(str(step)):
                yield ValidationError(f"{value!r} is not a multiple of {step!r}")


_Validator: Any = extend(Draft202012Validator, {**KEYWORDS, "multipleOf": _multiple_of})  # type: ignore[no-untyped-call]


def check(checker: Draft202012Validator, arguments: Mapping[str, Any], tool: str) -> None:
    """Raise ArgumentsInvalid, saying where, for arguments that do not fit."""
    error = best_match(checker.iter_errors(arguments))
    if error is not None:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        msg = f"{tool}{where}: {error.message[:500]}; nothing was sent"
        raise ArgumentsInvalid(msg)


def _check_pattern(pattern: str) -> None:
    if compiled(pattern) is not None:
        return
    try:
        re.compile(pattern)
    except re.error as exc:
        msg = f"the pattern {pattern!r} cannot be checked: {exc}"
        raise SpecInvalid(msg) from exc
