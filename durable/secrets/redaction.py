"""Redact: take resolved secrets out of whatever is recorded, logged or raised.

Stored values are changed inside their strings only, so that they can still be read back; bytes are changed as
bytes. ``Authorization``, ``Proxy-Authorization``, ``Cookie`` and ``Set-Cookie`` headers are taken out whoever
returned them. As long as nothing was resolved, the only cost is the search for those four.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import weakref
from collections import deque
from typing import Any

from durable.checkpoint.codec.builtins import TAG
from durable.secrets.forms import forms

SHORTEST = 4
"""Characters of the shortest secret that can be told from ordinary text."""
KEPT = 16
"""Values that are remembered of one name: of a token that is renewed, the last ones."""

_HEADER = re.compile(r"(?:proxy-)?authorization|(?:set-)?cookie", re.IGNORECASE)
_HEADER_LINE = re.compile(
    r"""\b((?:proxy-)?authorization|(?:set-)?cookie)(['"]?\s*[:=]\s*(?:b(?=['"]))?['"]?)((?:[^\r\n'"\\]|\\.)+)""",
    re.IGNORECASE,
)
_HINTS = (b'orization"', b'ookie"', b'RIZATION"', b'OOKIE"')
_TEXT_HINTS = ("uthorization", "ookie", "UTHORIZATION", "OOKIE")
_IN_BYTES = frozenset({"bytes", "bytearray"})
_HOLDERS = frozenset({"tuple", "set", "frozenset", "deque", "dict", "OrderedDict", "Counter", "defaultdict", "str"})
"""Tags whose strings are free text; of any other tag the whole value is what a string there says."""


class Redactor:
    """Redactor of one runtime. Thread-safe. ``add`` takes effect on whatever is recorded from then on."""

    def __init__(self) -> None:
        self._values: dict[str, deque[str]] = {}
        self._lock = threading.Lock()
        self._forms: tuple[tuple[str, bytes, str], ...] = ()
        """Text, the same as bytes, and the name: the longest first, as shorter ones may be parts of it."""

    @property
    def knows(self) -> bool:
        """True if any secret was resolved yet."""
        return bool(self._forms)

    def add(self, name: str, value: str) -> None:
        """Take this value out from now on; ``[redacted:name]`` stands in its place."""
        with self._lock:
            values = self._values.setdefault(name, deque(maxlen=KEPT))
            if value in values:
                return
            values.append(value)
            names = {form: label for label, held in self._values.items() for each in held for form in forms(each)}
            ordered = sorted(names.items(), key=lambda pair: len(pair[0]), reverse=True)
            self._forms = tuple((form, form.encode("utf-8", "surrogatepass"), label) for form, label in ordered)
        with _guard:
            _active.add(self)

    def stored(self, data: bytes) -> bytes:
        """Return an encoded value without secrets; the same object if it has none."""
        headers = any(hint in data for hint in _HINTS)
        if not headers and not any(form in data for _, form, _ in self._forms):
            return data
        document = json.loads(data)
        clean = self.plain(document)
        if clean is document:
            return data
        return json.dumps(clean, ensure_ascii=False, separators=(",", ":")).encode()

    def plain(self, value: Any) -> Any:
        """Return plain JSON without secrets; the same object if it has none."""
        if type(value) is str:
            return self._sub(value)
        if type(value) is list:
            items = [self.plain(item) for item in value]
            if len(items) == 2 and _header(*items):  # noqa: PLR2004 - headers as a list of pairs
                return [items[0], _gone("header")]
            return value if all(map(_same, items, value)) else items
        if type(value) is dict:
            return self._object(value)
        if type(value) in (int, float) and self._sub(str(value)) != str(value):
            return self._sub(str(value))
        return value

    def text(self, text: str) -> str:
        """Return a message without secrets and header lines."""
        if tells_of_headers(text):
            text = _HEADER_LINE.sub(lambda match: f"{match[1]}{match[2]}{_gone('header')}", text)
        return self._sub(text)

    def _sub(self, text: str) -> str:
        for form, _, name in self._forms:
            if form in text:
                text = text.replace(form, _gone(name))
        return text

    def binary(self, data: bytes) -> bytes:
        """Return bytes without secrets; the same object if they have none."""
        for _, form, name in self._forms:
            if form in data:
                data = data.replace(form, _gone(name).encode())
        return data

    def _object(self, value: dict[str, Any]) -> Any:
        tag = _tag_of(value)
        if tag in _IN_BYTES and type(value.get("v")) is str:
            return self._in_base64(value, tag)
        out = {}
        changed = False
        for key, item in value.items():
            name, content = (key, item) if key == TAG and tag is not None else self._field(key, item)
            changed = changed or content is not item or name != key
            out[name] = content
        if not changed:
            return value
        return out["v"] if _is_text_now(tag, out) else out

    def _field(self, key: str, item: Any) -> tuple[str, Any]:
        content = self.plain(item)
        if _header(key, content):
            content = _gone("header")
        return self._sub(key), content

    def _in_base64(self, value: dict[str, Any], tag: str | None) -> dict[str, Any]:
        data = base64.b64decode(value["v"])
        clean = self.binary(data)
        return value if clean == data else {TAG: tag, "v": base64.b64encode(clean).decode()}


_active: weakref.WeakSet[Redactor] = weakref.WeakSet()
_guard = threading.Lock()


def active() -> list[Redactor]:
    """Return the redactors of this process that know a secret."""
    if not _active:
        return []
    with _guard:
        return list(_active)


def tells_of_headers(text: str) -> bool:
    """True if the text may have a header line that is to be cut."""
    return any(hint in text for hint in _TEXT_HINTS)


def _gone(name: str) -> str:
    return f"[redacted:{name}]"


def _same(left_value: Any, right_value: Any) -> bool:
    return left_value is right_value or (
        type(left_value) is type(right_value) and type(left_value) in (str, int, float) and left_value == right_value
    )


def _tag_of(value: dict[str, Any]) -> str | None:
    tag = value.get(TAG)
    return tag if type(tag) is str else None


def _is_text_now(tag: str | None, redacted: dict[str, Any]) -> bool:
    """True if what is left of a tagged value is plain text, because a part of it was a secret."""
    if tag == "str":
        return True  # its lone surrogates are no longer where they were
    if tag is None or ":" in tag or tag in _HOLDERS:
        return False
    return type(redacted.get("v")) is str  # a date, a UUID or a path


def _header(name: Any, value: Any) -> bool:
    """True if this is a header that tells who the caller is: cookies are ``name=value``."""
    if type(name) is not str or type(value) is not str or not _HEADER.fullmatch(name):
        return False
    return "=" in value if name.lower().endswith("cookie") else not value.startswith("[redacted:")
