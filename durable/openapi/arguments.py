"""Describe a tool's arguments in Python (names and types), and turn them into a checked request."""

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
    """One argument of a tool.

    ``parameter`` is None for arguments of the body: each property of a body that is an object is an argument of
    its own.
    """

    argument: str
    name: str
    schema: Any
    required: bool
    description: str
    parameter: Parameter | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """Checked arguments of one call, in the forms that a request takes."""

    path: dict[str, str]
    query: list[str]
    headers: dict[str, str]
    cookies: list[str]
    body: dict[str, Any]


class Arguments:
    """Arguments of one operation: its slots, its signature, and the way to a request."""

    def __init__(self, schemas: Schemas, operation: Operation) -> None:
        self._schemas = schemas
        self._operation = operation
        body = operation.body
        self._body = None if body is None else replace(body, schema=_body_schema(schemas, body))
        self._spread = self._body is not None and self._body.has_fields and _is_spread(schemas, self._body.schema)
        self._files = _file_fields(schemas, self._body)
        self.slots = self._named()
        outside = [slot for slot in self.slots if slot.parameter]
        self._outside = schemas.checker(
            {
                "type": "object",
                "properties": {slot.argument: slot.schema for slot in outside},
                "required": [slot.argument for slot in outside if slot.required],
            }
        )
        self._inside: Draft202012Validator | None = None if self._body is None else schemas.checker(_object(self._body))
        self.signature = self._signature()

    def _named(self) -> list[Slot]:
        used = set(_RESERVED)
        slots: list[Slot] = []
        hidden = self._operation.keyed
        for parameter in self._operation.parameters:
            if parameter is not hidden:
                schema = self._schemas.translated(parameter.schema)
                name = _free(parameter.name, parameter.place, used)
                slots.append(Slot(name, parameter.name, schema, parameter.required, parameter.description, parameter))
        return [*slots, *self._body_slots(used)]

    def _body_slots(self, used: set[str]) -> list[Slot]:
        body = self._body
        if body is None:
            return []
        if not self._spread:
            return [Slot(_free("body", "body", used), "body", body.schema, body.required, body.description)]
        whole = self._schemas.resolved(body.schema)
        slots = []
        for name, schema in whole["properties"].items():
            resolved = self._schemas.resolved(schema)
            description = resolved.get("description", "") if isinstance(resolved, Mapping) else ""
            required = body.required and name in whole.get("required", [])
            slots.append(Slot(_free(name, "body", used), name, schema, required, description))
        return slots

    def _signature(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = []
        for slot in sorted(self.slots, key=lambda slot: not slot.required):
            kind_of = annotation(self._schemas, slot.schema, f"{self._operation.name}_{slot.argument}")
            if slot.required:
                parameters.append(inspect.Parameter(slot.argument, kind, annotation=kind_of))
            else:
                parameters.append(inspect.Parameter(slot.argument, kind, annotation=Optional[kind_of], default=None))  # noqa: UP045 - a value
        return inspect.Signature(parameters, return_annotation=Any)

    def docstring(self) -> str:
        """Return the operation's description, followed by that of each argument."""
        lines = [self._operation.description[:_DESCRIBED] or f"{self._operation.method} {self._operation.path}."]
        if self.slots:
            lines += ["", "Args:"]
        for slot in self.slots:
            text = " ".join(slot.description.split())
            if annotation(self._schemas, slot.schema, "x") is JSON_TEXT and not _is_text(self._schemas, slot.schema):
                shape = json.dumps(self._schemas.resolved(slot.schema), ensure_ascii=False)[:_DESCRIBED]
                text = f"{text} A text of JSON that fits {shape}".strip()
            lines.append(f"    {slot.argument}: {text or slot.name}")
        return "\n".join(lines)

    def parts(self, arguments: Mapping[str, Any]) -> Parts:
        """Check the arguments by the document's schemas and write them as it says. Raises ArgumentsInvalid."""
        try:
            return self._parts(arguments)
        except (ValueError, RecursionError) as exc:  # NaN, a lone surrogate, no end of nesting
            msg = f"{self._operation.name}: the arguments cannot be written: {exc}; nothing was sent"
            raise ArgumentsInvalid(msg) from exc

    def _parts(self, arguments: Mapping[str, Any]) -> Parts:
        values = {
            slot.argument: received(self._schemas, slot.schema, arguments.get(slot.argument))
            for slot in self.slots
            if slot.required or arguments.get(slot.argument) is not None  # null is what a model gives for "not given"
        }
        outside = {
            slot.argument: values[slot.argument] for slot in self.slots if slot.parameter and slot.argument in values
        }
        check(self._outside, outside, self._operation.name)
        parts = Parts({}, [], {}, [], self._content(values))
        for slot in self.slots:
            if slot.parameter is not None and slot.argument in values:
                _write(parts, slot.parameter, values[slot.argument])
        return parts

    def _content(self, values: Mapping[str, Any]) -> dict[str, Any]:
        if self._body is None or self._inside is None:
            return {}
        fields = {
            slot.name: values[slot.argument] for slot in self.slots if not slot.parameter and slot.argument in values
        }
        if not fields and not self._body.required:
            return {}
        value = fields if self._spread else fields.get("body")
        check(self._inside, {"body": value}, self._operation.name)
        return encoding.content(self._body, value, self._files)


def _file_fields(schemas: Schemas, body: Body | None) -> set[str]:
    whole = schemas.resolved(body.schema) if body is not None else {}
    properties = whole.get("properties", {}) if isinstance(whole, Mapping) else {}
    return {name for name, schema in properties.items() if schemas.is_file(schema)}


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
    """Return the body's schema, or that of a text if values cannot be written in its media type (XML, say)."""
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


def _free(name: str, place: str, used: set[str]) -> str:
    """Return an identifier of Python that is not in ``used``, and add it there."""
    free = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or place
    if keyword.iskeyword(free):
        free += "_"
    if free[0].isdigit():
        free = f"{place}_{free}"
    if free in used:
        free = f"{free}_{place}"
    while free in used:
        free += "_"
    used.add(free)
    return free
