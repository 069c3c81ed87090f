"""Operations: one method of one path, the same for Swagger 2 and OpenAPI 3."""

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
    """A parameter and how it is written; ``content`` is the media type of one that is written as a document."""

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
    """What is sent as the body, in this media type; ``styles`` are those of a form's fields that have one."""

    media_type: str
    schema: Any
    required: bool = False
    description: str = ""
    styles: Mapping[str, tuple[str, bool]] = field(default_factory=dict)

    @property
    def has_fields(self) -> bool:
        """Whether it is written field by field, or as JSON: what is not, is a text that the caller writes."""
        name = self.media_type.partition(";")[0].strip().lower()
        return name.endswith(("/json", "+json", "/x-www-form-urlencoded", "/form-data"))

    def field(self, name: str) -> Parameter:
        """How a field of a form is written."""
        style, explode = self.styles.get(name, ("form", True))
        return Parameter(name, "query", schema=True, style=style, explode=explode)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. ``security`` are the alternatives: scheme names with their scopes, all of one of them needed."""

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
        """The header parameter that takes an idempotency key, if it declares one."""
        found = (one for one in self.parameters if one.place == "header" and one.name.lower() == "idempotency-key")
        return next(found, None)


def operations(
    document: Document, include: Iterable[str] | None, exclude: Iterable[str], max_tools: int
) -> list[Operation]:
    """The operations chosen by name, or by method and path (``"GET /pets/*"``); each may be a pattern.

    Raises SpecInvalid for a choice that chooses nothing, TooManyOperations.
    """
    every = list(_every(document))
    chosen = every if include is None else _chosen(every, include)
    left_out = _chosen(every, exclude)
    wanted = [one for one in chosen if one not in left_out]
    if len(wanted) > max_tools:
        raise TooManyOperations(len(wanted), max_tools, tuple(one.name for one in wanted))
    if twice := sorted(name for name, count in Counter(one.name for one in wanted).items() if count > 1):
        msg = f"several operations are called {', '.join(twice)}; choose one with include=['GET /path']"
        raise SpecInvalid(msg)
    return [_operation(document, one.name, one.method, one.path) for one in wanted]


class _Named(NamedTuple):
    name: str
    method: str
    path: str
    id: str

    def fits(self, pattern: str) -> bool:
        """Whether the pattern is for its name, its id, or its method and path."""
        return any(fnmatchcase(said, pattern) for said in (self.name, self.id, f"{self.method} {self.path}"))


def _every(document: Document) -> Iterator[_Named]:
    for path, item in document.root.get("paths", {}).items():
        found = document.followed(item)
        for method in METHODS:
            if method in found:
                said = found[method].get("operationId", "")
                yield _Named(_name(said) or _name(f"{method}_{path}"), method.upper(), path, said)


def _name(words: str) -> str:
    """A name that every model's provider takes; one that is too long keeps apart from others that begin alike."""
    whole = re.sub(r"\W+", "_", words, flags=re.ASCII).strip("_")
    return whole if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 7]}_{sha256(whole.encode()).hexdigest()[:6]}"


def _chosen(every: list[_Named], patterns: Iterable[str]) -> list[_Named]:
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in wanted:
        if not any(one.fits(pattern) for one in every):
            msg = f"no operation is called {pattern!r}; there are {', '.join(one.name for one in every[:50]) or 'none'}"
            raise SpecInvalid(msg)
    return [one for one in every if any(one.fits(pattern) for pattern in wanted)]


def _operation(document: Document, name: str, method: str, path: str) -> Operation:
    item = document.followed(document.root["paths"][path])
    said = item[method.lower()]
    raw = [document.followed(one) for one in [*item.get("parameters", []), *said.get("parameters", [])]]
    by_place = {(one["in"], one["name"]): one for one in raw}  # the operation's own come last and count
    sent = [one for (place, key), one in by_place.items() if place != "header" or key.lower() not in _IGNORED]
    _check_path(name, path, {key for place, key in by_place if place == "path"})
    old = document.version == "2.0"
    return Operation(
        name,
        method,
        path,
        "\n\n".join(text.strip() for text in (said.get("summary"), said.get("description")) if text),
        tuple((_old_parameter if old else _parameter)(one) for one in sent if one["in"] not in {"body", "formData"}),
        _old_body(document, said, sent) if old else _body(document, said),
        tuple(said.get("security", document.root.get("security", ()))),
        tuple(str(tag) for tag in said.get("tags", ())),
    )


def _check_path(name: str, path: str, given: set[str]) -> None:
    named = set(re.findall(r"\{([^{}]*)\}", path))
    if named != given or "?" in path:
        msg = (
            f"{name}: the path {path!r} and its parameters {', '.join(sorted(given)) or '(none)'} do not fit each other"
        )
        raise SpecInvalid(msg)


def own_servers(document: Document, operations: Iterable[Operation]) -> list[str]:
    """The operations that name servers of their own."""
    paths = {path: document.followed(item) for path, item in document.root.get("paths", {}).items()}
    return [
        one.name
        for one in operations
        if "servers" in paths[one.path] or "servers" in paths[one.path][one.method.lower()]
    ]


def _parameter(said: Mapping[str, Any]) -> Parameter:
    place = said["in"]
    style = said.get("style", _STYLES[place])
    written_as: Mapping[str, Any] = said.get("content", {})
    media_type = next(iter(written_as), None)
    content = {} if media_type is None else written_as[media_type]
    return Parameter(
        said["name"],
        place,
        said.get("schema", content.get("schema", True)),
        bool(said.get("required")),
        said.get("description", ""),
        style,
        said.get("explode", style in {"form", "deepObject"}),
        bool(said.get("allowReserved")) and place == "query",
        media_type,
    )


def _old_parameter(said: Mapping[str, Any]) -> Parameter:
    style, explode = _COLLECTIONS.get(said.get("collectionFormat", "csv"), ("form", False))
    if said["in"] in {"path", "header"}:
        style, explode = "simple", False
    described = {key: value for key, value in said.items() if key not in {"name", "in", "required", "description"}}
    return Parameter(
        said["name"], said["in"], described, bool(said.get("required")), said.get("description", ""), style, explode
    )


def _body(document: Document, said: Mapping[str, Any]) -> Body | None:
    body = document.followed(said.get("requestBody"))
    if not body or not body.get("content"):
        return None
    media_type = _media_type(list(body["content"]))
    content = body["content"][media_type]
    styles = {
        name: (one.get("style", "form"), one.get("explode", one.get("style", "form") in {"form", "deepObject"}))
        for name, one in content.get("encoding", {}).items()
        if "style" in one or "explode" in one
    }
    schema, described = content.get("schema", True), body.get("description", "")
    return Body(_concrete(media_type), schema, bool(body.get("required")), described, styles)


def _concrete(media_type: str) -> str:
    """A type that a body can have, for a range."""
    if "*" not in media_type:
        return media_type
    kind = media_type.partition("/")[0]
    return {"*": "application/json", "application": "application/json", "text": "text/plain"}.get(
        kind, "application/octet-stream"
    )


def _old_body(document: Document, said: Mapping[str, Any], sent: list[Mapping[str, Any]]) -> Body | None:
    consumes = said.get("consumes") or document.root.get("consumes") or ["application/json"]
    for one in sent:
        if one["in"] == "body":
            media_type = _concrete(_media_type(consumes))
            return Body(media_type, one["schema"], bool(one.get("required")), one.get("description", ""))
    form = [one for one in sent if one["in"] == "formData"]
    if not form:
        return None
    files = any(one.get("type") == "file" for one in form) or "multipart/form-data" in consumes
    schema = {
        "type": "object",
        "properties": {one["name"]: _old_parameter(one).schema | _described(one) for one in form},
        "required": [one["name"] for one in form if one.get("required")],
    }
    media_type = "multipart/form-data" if files else "application/x-www-form-urlencoded"
    styles = {one["name"]: _COLLECTIONS[one["collectionFormat"]] for one in form if "collectionFormat" in one}
    return Body(media_type, schema, bool(schema["required"]), styles=styles)


def _described(said: Mapping[str, Any]) -> dict[str, str]:
    return {"description": said["description"]} if "description" in said else {}


def _media_type(offered: list[str]) -> str:
    plain = {one.partition(";")[0].strip().lower(): one for one in reversed(offered)}
    for wanted in _PREFERRED:
        if wanted in plain:
            return plain[wanted]
    return next((one for name, one in plain.items() if name.endswith("+json")), offered[0])
