"""Redaction: what was resolved as a secret is taken out of whatever is recorded, logged or raised.

Stored values are changed inside of their strings only, so that they can still be read back; bytes are changed as
bytes. ``Authorization``, ``Proxy-Authorization``, ``Cookie`` and ``Set-Cookie`` headers are taken out whoever
returned them. As long as nothing was resolved, only a look for those four is paid for.
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
    """What must not be recorded by one runtime. Thread-safe; ``add`` is seen by what is recorded from then on."""

    def __init__(self) -> None:
        self._values: dict[str, deque[str]] = {}
        self._lock = threading.Lock()
        self._forms: tuple[tuple[str, bytes, str], ...] = ()
        """Text, the same as bytes, and the name: the longest first, as shorter ones may be parts of it."""

    @property
    def knows(self) -> bool:
        """Whether any secret was resolved yet."""
        return bool(self._forms)

    def add(self, name: str, value: str) -> None:
        """Take this value out from now on; ``[redacted:name]`` stands in its place."""
        with self._lock:
            known = self._values.setdefault(name, deque(maxlen=KEPT))
            if value in known:
                return
            known.append(value)
            names = {form: label for label, held in self._values.items() for each in held for form in forms(each)}
            ordered = sorted(names.items(), key=lambda found: len(found[0]), reverse=True)
            self._forms = tuple((form, form.encode("utf-8", "surrogatepass"), label) for form, label in ordered)
        with _guard:
            _active.add(self)

    def stored(self, data: bytes) -> bytes:
        """An encoded value without secrets; the same object if it has none."""
        headers = any(hint in data for hint in _HINTS)
        if not headers and not any(form in data for _, form, _ in self._forms):
            return data
        document = json.loads(data)
        clean = self.plain(document)
        if clean is document:
            return data
        return json.dumps(clean, ensure_ascii=False, separators=(",", ":")).encode()

    def plain(self, value: Any) -> Any:
        """Plain JSON without secrets; the same object if it has none."""
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
        """A message without secrets and header lines."""
        if tells_of_headers(text):
            text = _HEADER_LINE.sub(lambda found: f"{found[1]}{found[2]}{_gone('header')}", text)
        return self._sub(text)

    def _sub(self, text: str) -> str:
        for form, _, name in self._forms:
            if form in text:
                text = text.replace(form, _gone(name))
        return text

    def binary(self, data: bytes) -> bytes:
        """Bytes without secrets; the same object if they have none."""
        for _, form, name in self._forms:
            if form in data:
                data = data.replace(form, _gone(name).encode())
        return data

    def _object(self, value: dict[str, Any]) -> Any:
        tag = value.get(TAG)
        if type(tag) is str and tag in _IN_BYTES and type(held := value.get("v")) is str:
            data = base64.b64decode(held)
            clean = self.binary(data)
            return value if clean == data else {TAG: tag, "v": base64.b64encode(clean).decode()}
        changed, out = False, {}
        for key, item in value.items():
            if key == TAG and type(tag) is str:
                out[key] = item
                continue
            name, kept = self._sub(key), self.plain(item)
            if _header(key, kept):
                kept = _gone("header")
            changed = changed or kept is not item or name != key
            out[name] = kept
        if changed and type(tag) is str and ":" not in tag and tag not in _HOLDERS and type(out.get("v")) is str:
            return out["v"]  # a date, a UUID or a path that is a secret: what is left of it is text
        if changed and tag == "str":
            return out["v"]  # its lone surrogates are no longer where they were
        return out if changed else value


_active: weakref.WeakSet[Redactor] = weakref.WeakSet()
_guard = threading.Lock()


def active() -> list[Redactor]:
    """The redactors of this process that know a secret."""
    if not _active:
        return []
    with _guard:
        return list(_active)


def tells_of_headers(text: str) -> bool:
    """Whether the text may have a header line that is to be cut."""
    return any(hint in text for hint in _TEXT_HINTS)


def _gone(name: str) -> str:
    return f"[redacted:{name}]"


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and type(one) in (str, int, float) and one == other)


def _header(name: Any, value: Any) -> bool:
    """Whether this is a header that tells who the caller is: cookies are ``name=value``."""
    if type(name) is not str or type(value) is not str or not _HEADER.fullmatch(name):
        return False
    return "=" in value if name.lower().endswith("cookie") else not value.startswith("[redacted:")
