"""Schemas of any OpenAPI version as JSON Schema 2020-12, references and recursion kept, and nothing fetched.

What is only read from a server (``readOnly``) is left out, as these schemas are for what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from referencing import Registry

from durable.checkpoint.api_errors import ArgumentsInvalid, SpecInvalid

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
        if "required" in out and "properties" in schema:
            unsent = set(schema["properties"]) - set(out["properties"])
            out["required"] = [name for name in out["required"] if name not in unsent]
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
            self.definitions[name] = self.translated(self._document.at(pointer))
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
        """What checks values by a translated schema. It fetches nothing."""
        whole = {**schema, "$defs": self.definitions}
        return Draft202012Validator(whole, format_checker=FormatChecker(), registry=Registry())


def check(checker: Draft202012Validator, arguments: Mapping[str, Any], tool: str) -> None:
    """Raise ArgumentsInvalid, saying where, for arguments that do not fit."""
    error = best_match(checker.iter_errors(arguments))
    if error is not None:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        msg = f"{tool}{where}: {error.message[:500]}; nothing was sent"
        raise ArgumentsInvalid(msg)


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as exc:
        msg = f"the pattern {pattern!r} cannot be checked: {exc}"
        raise SpecInvalid(msg) from exc
