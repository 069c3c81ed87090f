"""A look at stored bytes by a process that has none of the classes they name.

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
    """What was encoded, as plain JSON."""
    try:
        document = json.loads(data, object_hook=_plain)
    except (ValueError, RecursionError) as exc:
        return {UNREADABLE: f"{type(exc).__name__}: {data[:_SHOWN]!r}"}
    return document["d"] if isinstance(document, dict) and "d" in document else document


def _plain(found: dict[str, Any]) -> Any:
    tag = found.get(TAG)
    if not isinstance(tag, str):
        return found
    show = _SHOW.get(tag)
    if show is None:
        return _object(tag, found)
    try:
        return show(found)
    except (ValueError, TypeError, KeyError, OverflowError):
        return found


def _object(tag: str, found: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {TYPE: tag}
    for part in ("v", "d", "x"):
        content = found.get(part)
        if isinstance(content, list):
            content = _pairs({"v": content})
        if isinstance(content, dict):
            shown |= content
    return shown | {name: found[part] for part, name in _PARTS.items() if part in found}


def _value(found: dict[str, Any]) -> Any:
    return found["v"]


def _bytes(found: dict[str, Any]) -> Any:
    return {TYPE: "bytes", "base64": found["v"]}


def _moment(found: dict[str, Any]) -> Any:
    zone = found.get("z")
    return found["v"] if zone is None else f"{found['v']} {zone if isinstance(zone, str) else timedelta(*zone[:3])}"


def _pairs(found: dict[str, Any]) -> dict[str, Any]:
    flat = found["v"]
    keys = (key if isinstance(key, str) else json.dumps(key) for key in flat[::2])
    return dict(zip(keys, flat[1::2], strict=True))


_SHOW: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    **dict.fromkeys(("tuple", "set", "frozenset", "deque", "str", "int", "float", "date", "uuid"), _value),
    **dict.fromkeys(("decimal", "pattern", "path", "ip", "zone"), _value),
    **dict.fromkeys(("datetime", "time"), _moment),
    **dict.fromkeys(("bytes", "bytearray"), _bytes),
    **dict.fromkeys(("dict", "OrderedDict", "Counter", "defaultdict"), _pairs),
    "timedelta": lambda found: timedelta(*found["v"]).total_seconds(),
}
