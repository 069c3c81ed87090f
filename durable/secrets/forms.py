"""List the forms in which a secret may show up: as it stands, escaped, URL-encoded, in hex, and inside any base64.

Base64 of a text that holds the secret has one of three forms, by the position of the secret modulo three. Characters at
its edges depend on what stands beside it, and are left out of the form.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONG_ENOUGH = 6
"""Characters from which on a part of base64 is no coincidence."""


def forms(value: str) -> set[str]:
    """Return all texts that give the secret away, without those that are too short to mean it."""
    data = value.encode("utf-8", "surrogatepass")
    texts = {value, *_escaped(value), *_quoted(data), data.hex(), data.hex().upper()}
    for place in range(3):
        texts.update(part for part in _in_base64(data, place) if len(part) >= _LONG_ENOUGH)
    whole = base64.b64encode(data).decode()
    return texts | {whole, whole.translate(_URL_SAFE)}


_URL_SAFE = str.maketrans("+/", "-_")


def _escaped(value: str) -> Iterator[str]:
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]


def _quoted(data: bytes) -> Iterator[str]:
    for quoted in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield quoted
        yield _lower(quoted)


def _lower(quoted: str) -> str:
    head, *parts = quoted.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in parts)])


def _in_base64(data: bytes, place: int) -> Iterator[str]:
    text = base64.b64encode(b"\0" * place + data).decode().rstrip("=")
    dependent = (0, 2, 3)[place]  # characters that the bytes before it have a part in
    end = len(text) - (1 if (place + len(data)) % 3 else 0)
    inner = text[dependent:end]
    yield inner
    yield inner.translate(_URL_SAFE)
