"""Read operations (one method of one path) the same way from Swagger 2 and OpenAPI 3."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from durable.openapi.errors import SpecInvalid, TooManyOperations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from durable.openapi.document import Document

METHODS = ("get", "head", "options", "put", "delete", "post", "patch")
_LONGEST = 64
"""Characters of a tool's name that providers of models take."""
_IGNORED = frozenset({"accept", "content-type", "authorization"})
"""Header parameters that the specification says to ignore."""
_PREFERRED = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
_STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
_COLLECTIONS = {
    "csv": ("form", False),
    "ssv": ("spaceDelimited", False),
    "pipes": ("pipeDelimited", False),
    "tsv": ("tabDelimited", False),
    "multi": ("form", True),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """Parameter of an operation, and how it is written.

    ``content`` is the media type of a parameter that is written as a document.
    """

    name: str
    place: str
    schema: Any
    required: bool = False
    description: str = ""
    style: str = "form"
    explode: bool = False
    reserved: bool = False
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """Body of a request, in this media type. ``styles`` are those of a form's fields that have one."""

    media_type: str
    schema: Any
    required: bool = False
    description: str = ""
    styles: Mapping[str, tuple[str, bool]] = field(default_factory=dict)

    @property
    def has_fields(self) -> bool:
        """True if it is written field by field, or as JSON. Any other body is a text that the caller writes."""
        name = self.media_type.partition(";")[0].strip().lower()
        return name.endswith(("/json", "+json", "/x-www-form-urlencoded", "/form-data"))

    def field(self, name: str) -> Parameter:
        """Return how a field of a form is written."""
        style, explode = self.styles.get(name, ("form", True))
        return Parameter(name, "query", schema=True, style=style, explode=explode)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    ``security`` are the alternatives: each names schemes with their scopes, and all schemes of one alternative
    are needed.
    """

    name: str
    method: str
    path: str
    description: str
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    security: tuple[Mapping[str, list[str]], ...] = field(default=())
    tags: tuple[str, ...] = ()

    @property
    def keyed(self) -> Parameter | None:
        """Return the header parameter that takes an idempotency key. None if the operation declares none."""
        headers = (
            parameter
            for parameter in self.parameters
            if parameter.place == "header" and parameter.name.lower() == "idempotency-key"
        )
        return next(headers, None)


def operations(
    document: Document, include: Iterable[str] | None, exclude: Iterable[str], max_tools: int
) -> list[Operation]:
    """Return the operations chosen by name, or by method and path (``"GET /pets/*"``). Each choice may be a pattern.

    Raises SpecInvalid for a choice that chooses nothing, TooManyOperations.
    """
    every = list(_every(document))
    chosen = every if include is None else _chosen(every, include)
    left_out = _chosen(every, exclude)
    selected = [operation for operation in chosen if operation not in left_out]
    if len(selected) > max_tools:
        raise TooManyOperations(len(selected), max_tools, tuple(operation.name for operation in selected))
    counts = Counter(operation.name for operation in selected)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        msg = f"several operations are called {', '.join(twice)}; choose one with include=['GET /path']"
        raise SpecInvalid(msg)
    return [_operation(document, operation.name, operation.method, operation.path) for operation in selected]


class _Named(NamedTuple):
    name: str
    method: str
    path: str
    id: str

    def fits(self, pattern: str) -> bool:
        """True if the pattern fits its name, its id, or its method and path."""
        return any(fnmatchcase(text, pattern) for text in (self.name, self.id, f"{self.method} {self.path}"))


def _every(document: Document) -> Iterator[_Named]:
    for path, item in document.root.get("paths", {}).items():
        methods = document.followed(item)
        for method in METHODS:
            if method in methods:
                operation_id = methods[method].get("operationId", "")
                yield _Named(_name(operation_id) or _name(f"{method}_{path}"), method.upper(), path, operation_id)


def _name(words: str) -> str:
    """Return a name that every model's provider takes.

    A name that is too long ends in a hash, so that names that begin alike stay apart.
    """
    whole = re.sub(r"\W+", "_", words, flags=re.ASCII).strip("_")
    return whole if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 7]}_{sha256(whole.encode()).hexdigest()[:6]}"


def _chosen(every: list[_Named], patterns: Iterable[str]) -> list[_Named]:
    choices = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in choices:
        if not any(operation.fits(pattern) for operation in every):
            names = ", ".join(operation.name for operation in every[:50])
            msg = f"no operation is called {pattern!r}; there are {names or 'none'}"
            raise SpecInvalid(msg)
    return [operation for operation in every if any(operation.fits(pattern) for pattern in choices)]


def _operation(document: Document, name: str, method: str, path: str) -> Operation:
    item = document.followed(document.root["paths"][path])
    described = item[method.lower()]
    raw = [document.followed(entry) for entry in [*item.get("parameters", []), *described.get("parameters", [])]]
    by_place = {(entry["in"], entry["name"]): entry for entry in raw}  # the operation's own come last and count
    _check_path(name, path, {key for place, key in by_place if place == "path"})
    sent = [entry for (place, key), entry in by_place.items() if place != "header" or key.lower() not in _IGNORED]
    old = document.version == "2.0"
    return Operation(
        name,
        method,
        path,
        "\n\n".join(text.strip() for text in (described.get("summary"), described.get("description")) if text),
        _parameters(sent, old=old),
        _old_body(document, described, sent) if old else _body(document, described),
        tuple(described.get("security", document.root.get("security", ()))),
        tuple(str(tag) for tag in described.get("tags", ())),
    )


def _parameters(sent: list[Mapping[str, Any]], *, old: bool) -> tuple[Parameter, ...]:
    read = _old_parameter if old else _parameter
    return tuple(read(entry) for entry in sent if entry["in"] not in {"body", "formData"})


def _check_path(name: str, path: str, parameters: set[str]) -> None:
    named = set(re.findall(r"\{([^{}]*)\}", path))
    if named != parameters or "?" in path:
        listed = ", ".join(sorted(parameters)) or "(none)"
        msg = f"{name}: the path {path!r} and its parameters {listed} do not fit each other"
        raise SpecInvalid(msg)


def own_servers(document: Document, operations: Iterable[Operation]) -> list[str]:
    """Return the names of operations that name servers of their own."""
    paths = {path: document.followed(item) for path, item in document.root.get("paths", {}).items()}
    return [
        operation.name
        for operation in operations
        if "servers" in paths[operation.path] or "servers" in paths[operation.path][operation.method.lower()]
    ]


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    place = entry["in"]
    style = entry.get("style", _STYLES[place])
    written_as: Mapping[str, Any] = entry.get("content", {})
    media_type = next(iter(written_as), None)
    content = {} if media_type is None else written_as[media_type]
    return Parameter(
        entry["name"],
        place,
        entry.get("schema", content.get("schema", True)),
        bool(entry.get("required")),
        entry.get("description", ""),
        style,
        entry.get("explode", style in {"form", "deepObject"}),
        bool(entry.get("allowReserved")) and place == "query",
        media_type,
    )


def _old_parameter(entry: Mapping[str, Any]) -> Parameter:
    style, explode = _COLLECTIONS.get(entry.get("collectionFormat", "csv"), ("form", False))
    if entry["in"] in {"path", "header"}:
        style = "simple"
        explode = False
    described = {key: value for key, value in entry.items() if key not in {"name", "in", "required", "description"}}
    return Parameter(
        entry["name"], entry["in"], described, bool(entry.get("required")), entry.get("description", ""), style, explode
    )


def _body(document: Document, entry: Mapping[str, Any]) -> Body | None:
    body = document.followed(entry.get("requestBody"))
    if not body or not body.get("content"):
        return None
    media_type = _media_type(list(body["content"]))
    content = body["content"][media_type]
    styles = {
        name: (
            style_of.get("style", "form"),
            style_of.get("explode", style_of.get("style", "form") in {"form", "deepObject"}),
        )
        for name, style_of in content.get("encoding", {}).items()
        if "style" in style_of or "explode" in style_of
    }
    schema = content.get("schema", True)
    description = body.get("description", "")
    return Body(_concrete(media_type), schema, bool(body.get("required")), description, styles)


def _concrete(media_type: str) -> str:
    """Return a type that a body can have, for a range such as ``text/*``."""
    if "*" not in media_type:
        return media_type
    kind = media_type.partition("/")[0]
    return {"*": "application/json", "application": "application/json", "text": "text/plain"}.get(
        kind, "application/octet-stream"
    )


def _old_body(document: Document, described: Mapping[str, Any], sent: list[Mapping[str, Any]]) -> Body | None:
    consumes = described.get("consumes") or document.root.get("consumes") or ["application/json"]
    for entry in sent:
        if entry["in"] == "body":
            media_type = _concrete(_media_type(consumes))
            return Body(media_type, entry["schema"], bool(entry.get("required")), entry.get("description", ""))
    form = [entry for entry in sent if entry["in"] == "formData"]
    return _old_form(form, consumes) if form else None


def _old_form(form: list[Mapping[str, Any]], consumes: list[str]) -> Body:
    schema = {
        "type": "object",
        "properties": {entry["name"]: _old_parameter(entry).schema | _described(entry) for entry in form},
        "required": [entry["name"] for entry in form if entry.get("required")],
    }
    has_files = any(entry.get("type") == "file" for entry in form)
    media_type = "application/x-www-form-urlencoded"
    if has_files or "multipart/form-data" in consumes:
        media_type = "multipart/form-data"
    styles = {entry["name"]: _COLLECTIONS[entry["collectionFormat"]] for entry in form if "collectionFormat" in entry}
    return Body(media_type, schema, bool(schema["required"]), styles=styles)


def _described(entry: Mapping[str, Any]) -> dict[str, str]:
    return {"description": entry["description"]} if "description" in entry else {}


def _media_type(offered: list[str]) -> str:
    plain = {media_type.partition(";")[0].strip().lower(): media_type for media_type in reversed(offered)}
    for preferred in _PREFERRED:
        if preferred in plain:
            return plain[preferred]
    return next((media_type for name, media_type in plain.items() if name.endswith("+json")), offered[0])
