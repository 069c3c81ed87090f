"""Write arguments into a request by OpenAPI's parameter styles and media types.

Source: https://spec.openapis.org/oas/v3.1.1#style-values
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from durable.openapi.errors import ArgumentsInvalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from durable.openapi.operations import Body, Parameter

_RESERVED = ":/?[]@!$'()*,;="
"""What ``allowReserved`` leaves as it is: not what begins another parameter or the fragment, or reads as a space."""
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_BINARY = ("application/octet-stream", "application/pdf", "application/zip", "image/", "audio/", "video/")
_SEPARATORS = {"spaceDelimited": "%20", "pipeDelimited": "%7C", "tabDelimited": "%09"}


def in_path(parameter: Parameter, value: Any) -> str:
    """Return the text that stands for the parameter in the path.

    Raises ArgumentsInvalid if it would change the path.
    """
    style = parameter.style
    name = quote(parameter.name, safe="")
    if style == "simple" or parameter.content:
        text = _joined(parameter, value, ",", quote)
    elif style == "label":
        text = "." + _joined(parameter, value, "." if parameter.explode else ",", quote)
    else:
        text = _matrix(parameter, name, value)
    if text in {"", ".", ".."}:  # another path, once a server has made sense of it
        msg = f"{parameter.name}: {value!r} cannot stand in a path; nothing was sent"
        raise ArgumentsInvalid(msg)
    return text


def _matrix(parameter: Parameter, name: str, value: Any) -> str:
    if not parameter.explode or not isinstance(value, (list, dict)):
        return f";{name}={_joined(parameter, value, ',', quote)}"
    pairs = [(name, item) for item in value] if isinstance(value, list) else list(value.items())
    return "".join(f";{quote(str(key), safe='')}={quote(_text(item), safe='')}" for key, item in pairs)


def in_query(parameter: Parameter, value: Any) -> list[str]:
    """Return the parts of the query for one parameter, ``name=value``, quoted."""
    safe = _RESERVED if parameter.reserved else ""

    def quoted(text: str, **_: Any) -> str:
        return quote(text, safe=safe)

    name = quote(parameter.name, safe="")
    if parameter.content:
        return [f"{name}={quoted(_document(value))}"]
    if isinstance(value, (dict, list)):
        if parameter.style == "deepObject":
            return _deep(name, value, quoted)
        if parameter.explode:
            return _exploded(name, value, quoted)
    return [f"{name}={_joined(parameter, value, _SEPARATORS.get(parameter.style, ','), quoted)}"]


def _exploded(name: str, value: dict[str, Any] | list[Any], quoted: Any) -> list[str]:
    if isinstance(value, list):
        return [f"{name}={quoted(_text(item))}" for item in value]
    return [f"{quote(key, safe='')}={quoted(_text(item))}" for key, item in value.items()]


def _deep(name: str, value: Any, quoted: Any) -> list[str]:
    if isinstance(value, dict):
        return [
            part for key, item in value.items() for part in _deep(f"{name}%5B{quote(key, safe='')}%5D", item, quoted)
        ]
    if isinstance(value, list):  # no document says how; it is how servers read it that know deep objects
        return [part for number, item in enumerate(value) for part in _deep(f"{name}%5B{number}%5D", item, quoted)]
    return [f"{name}={quoted(_text(value))}"]


def in_header(parameter: Parameter, value: Any) -> str:
    """Return the value of a header. Raises ArgumentsInvalid for a text that no header can hold."""

    def as_it_is(text: str, **_: Any) -> str:
        return text

    text = _joined(parameter, value, ",", as_it_is)
    if not text.isascii() or not text.isprintable() or text != text.strip():
        msg = f"{parameter.name}: {text[:100]!r} cannot be sent in a header; nothing was sent"
        raise ArgumentsInvalid(msg)
    return text


def in_cookie(parameter: Parameter, value: Any) -> str:
    """Return ``name=value`` of a cookie, quoted."""
    return "; ".join(in_query(parameter, value))


def content(body: Body, value: Any, files: Collection[str]) -> dict[str, Any]:
    """Return the body as the arguments of an ``httpx.Request``. The ``files`` of a form are given in base64.

    Raises ArgumentsInvalid.
    """
    media_type = body.media_type.partition(";")[0].strip().lower()
    headers = {"Content-Type": body.media_type}
    if media_type == "application/json" or media_type.endswith("+json"):
        return {"content": _document(value).encode(), "headers": headers}
    if media_type in _FORMS and not isinstance(value, dict):
        msg = "the body is a form: give an object; nothing was sent"
        raise ArgumentsInvalid(msg)
    if media_type == "application/x-www-form-urlencoded":
        return {"content": _url_encoded(body, value), "headers": headers}
    if media_type == "multipart/form-data":
        return {"files": [part for key, item in value.items() for part in _parts(key, item, is_file=key in files)]}
    text = _text(value)
    data = _bytes("the body", text) if media_type.startswith(_BINARY) else text.encode()
    return {"content": data, "headers": headers}


def _url_encoded(body: Body, fields: Mapping[str, Any]) -> bytes:
    parts = [part for key, item in fields.items() for part in in_query(body.field(key), _flat(body, key, item))]
    return "&".join(parts).encode()


def _parts(key: str, value: Any, *, is_file: bool) -> list[tuple[str, tuple[str | None, bytes, str | None]]]:
    each = value if isinstance(value, list) else [value]
    if is_file:
        return [(key, (key, _bytes(key, item), None)) for item in each]
    kinds = ["application/json" if isinstance(item, (dict, list)) else None for item in each]
    return [(key, (None, _text(item).encode(), kind)) for item, kind in zip(each, kinds, strict=True)]


def _flat(body: Body, key: str, value: Any) -> Any:
    """Return a form's field as it is written: an object as JSON, unless the document names a style for it."""
    return value if key in body.styles or not isinstance(value, dict) else _document(value)


def _bytes(name: str, value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError) as exc:
        msg = f"{name}: give the bytes in base64; nothing was sent"
        raise ArgumentsInvalid(msg) from exc


def _joined(parameter: Parameter, value: Any, separator: str, quoted: Any) -> str:
    if parameter.content:
        return str(quoted(_document(value), safe=""))
    if isinstance(value, list):
        return separator.join(quoted(_text(item), safe="") for item in value)
    if isinstance(value, dict):
        inner = "=" if parameter.explode else separator
        return separator.join(
            f"{quoted(key, safe='')}{inner}{quoted(_text(item), safe='')}" for key, item in value.items()
        )
    return str(quoted(_text(value), safe=""))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return _document(value)  # true, 1.5, and what is deeper than a style can write


def _document(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def url_of(server: str, path: str, parts: Mapping[str, str], query: list[str]) -> httpx.URL:
    """Return the url of a call: the path's parameters filled in, below the server's own path."""
    for name, text in parts.items():
        path = path.replace("{" + name + "}", text)
    whole = httpx.URL(server.rstrip("/") + path)
    return whole.copy_with(query="&".join(query).encode()) if query else whole
