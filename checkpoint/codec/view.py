"""Show stored bytes in a process that has none of the classes they name.

What comes out is plain JSON for people and other programs, never to be stored again: a tuple or set is a list, a date
its text, an object of a class a dict with its name under ``$type``. Nothing is imported, looked up or rebuilt. Bytes
that cannot be read are shown as ``{"$unreadable": ...}`` instead of raising.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durable.checkpoint.codec.builtins import TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TYPE = "$type"
UNREADABLE = "$unreadable"

_PARTS = {"a": "args", "b": "value", "n": "name"}
_SHOWN = 200


def view(data: bytes) -> Any:
    """Return what was encoded, as plain JSON."""
    try:
        document = json.loads(data, object_hook=_plain)
    except (ValueError, RecursionError) as exc:
        return {UNREADABLE: f"{type(exc).__name__}: {data[:_SHOWN]!r}"}
    return document["d"] if isinstance(document, dict) and "d" in document else document


def _plain(tagged: dict[str, Any]) -> Any:
    tag = tagged.get(TAG)
    if not isinstance(tag, str):
        return tagged
    show = _SHOW.get(tag)
    if show is None:
        return _object(tag, tagged)
    try:
        return show(tagged)
    except (ValueError, TypeError, KeyError, OverflowError):
        return tagged


def _object(tag: str, tagged: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {TYPE: tag}
    for part in ("v", "d", "x"):
        content = tagged.get(part)
        if isinstance(content, list):
            content = _pairs({"v": content})
        if isinstance(content, dict):
            shown |= content
    return shown | {name: tagged[part] for part, name in _PARTS.items() if part in tagged}


def _value(tagged: dict[str, Any]) -> Any:
    return tagged["v"]


def _bytes(tagged: dict[str, Any]) -> Any:
    return {TYPE: "bytes", "base64": tagged["v"]}


def _moment(tagged: dict[str, Any]) -> Any:
    zone = tagged.get("z")
    return tagged["v"] if zone is None else f"{tagged['v']} {zone if isinstance(zone, str) else timedelta(*zone[:3])}"


def _pairs(tagged: dict[str, Any]) -> dict[str, Any]:
    flat = tagged["v"]
    keys = (key if isinstance(key, str) else json.dumps(key) for key in flat[::2])
    return dict(zip(keys, flat[1::2], strict=True))


_SHOW: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    **dict.fromkeys(("tuple", "set", "frozenset", "deque", "str", "int", "float", "date", "uuid"), _value),
    **dict.fromkeys(("decimal", "pattern", "path", "ip", "zone"), _value),
    **dict.fromkeys(("datetime", "time"), _moment),
    **dict.fromkeys(("bytes", "bytearray"), _bytes),
    **dict.fromkeys(("dict", "OrderedDict", "Counter", "defaultdict"), _pairs),
    "timedelta": lambda tagged: timedelta(*tagged["v"]).total_seconds(),
}
