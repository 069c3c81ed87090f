"""A tool's arguments: their names and types in Python, and their way into a checked request."""

from __future__ import annotations

import inspect
import json
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Optional

from durable.openapi import encoding
from durable.openapi.annotations import JSON_TEXT, annotation, received
from durable.openapi.errors import ArgumentsInvalid
from durable.openapi.schemas import check

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

    from durable.openapi.operations import Body, Operation, Parameter
    from durable.openapi.schemas import Schemas

_RESERVED = ("self", "cls", "config", "runtime", "run_manager", "callbacks", "tool_context", "input_stream")
"""Names of arguments that a framework takes for its own."""
_DESCRIBED = 1000
"""Characters of a description that a model is shown; OpenAI takes 1024."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One argument. Of a body that is an object each property is one of its own, without a ``parameter``."""

    argument: str
    name: str
    schema: Any
    required: bool
    description: str
    parameter: Parameter | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """A checked call, in the forms that a request takes."""

    path: dict[str, str]
    query: list[str]
    headers: dict[str, str]
    cookies: list[str]
    body: dict[str, Any]


class Arguments:
    """What one operation takes."""

    def __init__(self, schemas: Schemas, operation: Operation) -> None:
        self._schemas, self._operation = schemas, operation
        body = operation.body
        self._body = None if body is None else replace(body, schema=_body_schema(schemas, body))
        self._spread = self._body is not None and self._body.has_fields and _is_spread(schemas, self._body.schema)
        whole = schemas.resolved(self._body.schema) if self._body is not None else {}
        properties = whole.get("properties", {}) if isinstance(whole, Mapping) else {}
        self._files = {name for name, schema in properties.items() if schemas.is_file(schema)}
        self.slots = self._named()
        self._outside = schemas.checker(
            {
                "type": "object",
                "properties": {slot.argument: slot.schema for slot in self.slots if slot.parameter},
                "required": [slot.argument for slot in self.slots if slot.parameter and slot.required],
            }
        )
        self._inside: Draft202012Validator | None = None if self._body is None else schemas.checker(_object(self._body))
        self.signature = self._signature()

    def _named(self) -> list[Slot]:
        taken, found = set(_RESERVED), list[Slot]()
        hidden = self._operation.keyed
        for one in self._operation.parameters:
            if one is not hidden:
                schema = self._schemas.translated(one.schema)
                name = _free(one.name, one.place, taken)
                found.append(Slot(name, one.name, schema, one.required, one.description, one))
        body = self._body
        if body is None:
            return found
        if not self._spread:
            found.append(Slot(_free("body", "body", taken), "body", body.schema, body.required, body.description))
            return found
        whole = self._schemas.resolved(body.schema)
        for name, schema in whole["properties"].items():
            seen = self._schemas.resolved(schema)
            described = seen.get("description", "") if isinstance(seen, Mapping) else ""
            required = body.required and name in whole.get("required", [])
            found.append(Slot(_free(name, "body", taken), name, schema, required, described))
        return found

    def _signature(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        found = []
        for slot in sorted(self.slots, key=lambda slot: not slot.required):
            made = annotation(self._schemas, slot.schema, f"{self._operation.name}_{slot.argument}")
            if slot.required:
                found.append(inspect.Parameter(slot.argument, kind, annotation=made))
            else:
                found.append(inspect.Parameter(slot.argument, kind, annotation=Optional[made], default=None))  # noqa: UP045 - a value
        return inspect.Signature(found, return_annotation=Any)

    def docstring(self) -> str:
        """The operation's description, and that of each argument."""
        lines = [self._operation.description[:_DESCRIBED] or f"{self._operation.method} {self._operation.path}."]
        if self.slots:
            lines += ["", "Args:"]
        for slot in self.slots:
            said = " ".join(slot.description.split())
            if annotation(self._schemas, slot.schema, "x") is JSON_TEXT and not _is_text(self._schemas, slot.schema):
                shape = json.dumps(self._schemas.resolved(slot.schema), ensure_ascii=False)[:_DESCRIBED]
                said = f"{said} A text of JSON that fits {shape}".strip()
            lines.append(f"    {slot.argument}: {said or slot.name}")
        return "\n".join(lines)

    def parts(self, arguments: Mapping[str, Any]) -> Parts:
        """The arguments checked by the document's schemas, and written as it says. Raises ArgumentsInvalid."""
        try:
            return self._parts(arguments)
        except (ValueError, RecursionError) as exc:  # NaN, a lone surrogate, no end of nesting
            msg = f"{self._operation.name}: the arguments cannot be written: {exc}; nothing was sent"
            raise ArgumentsInvalid(msg) from exc

    def _parts(self, arguments: Mapping[str, Any]) -> Parts:
        given = {
            slot.argument: received(self._schemas, slot.schema, arguments.get(slot.argument))
            for slot in self.slots
            if slot.required or arguments.get(slot.argument) is not None  # null is what a model gives for "not given"
        }
        outside = {
            slot.argument: given[slot.argument] for slot in self.slots if slot.parameter and slot.argument in given
        }
        check(self._outside, outside, self._operation.name)
        parts = Parts({}, [], {}, [], self._content(given))
        for slot in self.slots:
            if slot.parameter is not None and slot.argument in given:
                _write(parts, slot.parameter, given[slot.argument])
        return parts

    def _content(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if self._body is None or self._inside is None:
            return {}
        mine = {slot.name: given[slot.argument] for slot in self.slots if not slot.parameter and slot.argument in given}
        if not mine and not self._body.required:
            return {}
        value = mine if self._spread else mine.get("body")
        check(self._inside, {"body": value}, self._operation.name)
        return encoding.content(self._body, value, self._files)


def _object(body: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"body": body.schema}}


def _write(parts: Parts, parameter: Parameter, value: Any) -> None:
    match parameter.place:
        case "path":
            parts.path[parameter.name] = encoding.in_path(parameter, value)
        case "query":
            parts.query.extend(encoding.in_query(parameter, value))
        case "header":
            parts.headers[parameter.name] = encoding.in_header(parameter, value)
        case _:
            parts.cookies.append(encoding.in_cookie(parameter, value))


def _body_schema(schemas: Schemas, body: Body) -> Any:
    """The body's schema; that of a text, where we do not know how to write values in its media type (XML, say)."""
    schema = schemas.translated(body.schema)
    whole = schemas.resolved(schema)
    is_text = not isinstance(whole, Mapping) or whole.get("type", "string") == "string"
    if body.has_fields or (is_text and not {"properties", "items"} & set(whole if isinstance(whole, Mapping) else ())):
        return schema
    return {"type": "string", "description": f"a text in {body.media_type}"}


def _is_spread(schemas: Schemas, schema: Any) -> bool:
    whole = schemas.resolved(schema)
    if not isinstance(whole, Mapping) or not whole.get("properties"):
        return False
    kinds = whole.get("type", "object")
    return kinds == "object" and not whole.get("additionalProperties") and not whole.keys() & {"anyOf", "oneOf", "not"}


def _is_text(schemas: Schemas, schema: Any) -> bool:
    whole = schemas.resolved(schema)
    return isinstance(whole, Mapping) and whole.get("type") in ("string", ["string", "null"])


def _free(name: str, place: str, taken: set[str]) -> str:
    """An identifier of Python that is not taken."""
    found = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or place
    if keyword.iskeyword(found) or found[0].isdigit():
        found += "_" if keyword.iskeyword(found) else ""
        found = f"{place}_{found}" if found[0].isdigit() else found
    if found in taken:
        found = f"{found}_{place}"
    while found in taken:
        found += "_"
    taken.add(found)
    return found
