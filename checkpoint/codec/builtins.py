"""Write builtin and standard library types as tagged JSON, ``{"$t": tag, ...}``, and read them back.

A reader gets what was inside already decoded. It raises CorruptPayload, or whatever a constructor raises, for what no
writer writes; none of them looks up a name from the data.
"""

from __future__ import annotations

import base64
import ipaddress
import pathlib
import re
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from durable.checkpoint.codec.names import shown_name
from durable.checkpoint.codec.types import Refused
from durable.checkpoint.errors import CorruptPayload

if TYPE_CHECKING:
    from collections.abc import Callable

TAG = "$t"

_SURROGATE = re.compile("[\ud800-\udfff]")
_ZONE_KEY = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*")
_PATTERN_FLAGS = int(re.ASCII | re.IGNORECASE | re.LOCALE | re.MULTILINE | re.DOTALL | re.UNICODE | re.VERBOSE)
_FACTORIES: dict[str, Callable[[], Any] | None] = {
    kind.__name__: kind for kind in (list, dict, set, tuple, str, bytes, int, float, bool)
} | {"None": None}
_PATHS: dict[str, type[pathlib.PurePath]] = {
    kind.__name__: kind
    for kind in (pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath)
}
_IPS: dict[str, Callable[[str], Any]] = {
    kind.__name__: kind
    for kind in (
        ipaddress.IPv4Address,
        ipaddress.IPv6Address,
        ipaddress.IPv4Network,
        ipaddress.IPv6Network,
        ipaddress.IPv4Interface,
        ipaddress.IPv6Interface,
    )
}


def stands(text: str) -> bool:
    """True if a string may stand in UTF-8 as it is: it has no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean(text: str) -> Any:
    """Return the string, or its tagged form if it has lone surrogates.

    JSON would make one character of two surrogates in a row.
    """
    if stands(text):
        return text
    places = [number for match in _SURROGATE.finditer(text) for number in (match.start(), ord(match[0]))]
    return {TAG: "str", "v": _SURROGATE.sub("\ufffd", text), "at": places}


def part_of(tagged: dict[str, Any], kind: type, key: str = "v") -> Any:
    """Return a part of a tagged object. Raises CorruptPayload if it is not of exactly this type."""
    part = tagged.get(key)
    if type(part) is not kind:
        reason = f"{key!r} of a {tagged[TAG]} is no {kind.__name__}"
        raise CorruptPayload(reason)
    return part


def pairs(flat: Any) -> list[tuple[Any, Any]]:
    """Return ``[key, value, key, value]`` as pairs. Raises CorruptPayload."""
    if type(flat) is not list or len(flat) % 2:
        reason = "keys and values are not in pairs"
        raise CorruptPayload(reason)
    return list(zip(flat[::2], flat[1::2], strict=True))


def blob(value: bytes | bytearray) -> dict[str, Any]:
    """Return bytes in base64."""
    return {TAG: type(value).__name__, "v": base64.b64encode(value).decode()}


def factory_name(factory: Any) -> str:
    """Return the name of a defaultdict's factory. Raises Refused if it is not a builtin type."""
    for name, kind in _FACTORIES.items():
        if kind is factory:
            return name
    shown = "a defaultdict with a factory of its own"
    raise Refused(shown, "convert it with dict(...)")


def _zone(zone: Any) -> Any:
    if type(zone) is timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
        return [offset.days, offset.seconds, offset.microseconds, *map(clean, name)]
    if type(zone) is ZoneInfo and _ZONE_KEY.fullmatch(zone.key or ""):
        return zone.key
    shown = f"a time zone of type {shown_name(type(zone))}"
    raise Refused(shown, "use zoneinfo.ZoneInfo or datetime.timezone")


def _read_zone(stored: Any) -> Any:
    if type(stored) is list:
        days, seconds, microseconds, *name = stored
        return timezone(timedelta(days, seconds, microseconds), *name)
    if type(stored) is not str or not _ZONE_KEY.fullmatch(stored):
        reason = "a time zone without a proper name"
        raise CorruptPayload(reason)
    try:
        return ZoneInfo(stored)
    except (KeyError, OSError, ValueError) as exc:
        reason = f"time zone {stored} is not known on this machine; install the package tzdata"
        raise CorruptPayload(reason) from exc


def _moment(value: Any) -> dict[str, Any]:
    """Return a datetime or time, tagged.

    With a named zone its wall clock is stored: the zone's rules may change before it comes.
    """
    zone = value.tzinfo
    out = {TAG: type(value).__name__}
    if zone is None or (type(zone) is timezone and len(zone.__getinitargs__()) == 1):  # type: ignore[attr-defined]
        out["v"] = value.isoformat()
    else:
        out |= {"v": value.replace(tzinfo=None).isoformat(), "z": _zone(zone)}
    return out | {"f": 1} if value.fold else out


def _read_moment(kind: Any, tagged: dict[str, Any]) -> Any:
    value = kind.fromisoformat(part_of(tagged, str))
    zone = _read_zone(tagged["z"]) if "z" in tagged else value.tzinfo
    return value.replace(tzinfo=zone, fold=int(tagged.get("f") == 1))


def _pattern(value: re.Pattern[Any]) -> dict[str, Any]:
    source = value.pattern
    return {TAG: "pattern", "v": clean(source) if type(source) is str else blob(source), "f": value.flags}


def _read_pattern(tagged: dict[str, Any]) -> Any:
    source = tagged.get("v")
    if type(source) is not str and type(source) is not bytes:
        reason = "a pattern is no text"
        raise CorruptPayload(reason)
    return re.compile(source, part_of(tagged, int, "f") & _PATTERN_FLAGS)


def _read_text(tagged: dict[str, Any]) -> str:
    letters = list(part_of(tagged, str))
    for place, code in pairs(tagged.get("at")):
        letters[place] = chr(code)
    return "".join(letters)


def _read_float(tagged: dict[str, Any]) -> float:
    text = part_of(tagged, str)
    if text not in {"nan", "inf", "-inf"}:
        reason = "a float that is neither NaN nor infinite"
        raise CorruptPayload(reason)
    return float(text)


def _read_defaultdict(tagged: dict[str, Any]) -> Any:
    return defaultdict(_FACTORIES[part_of(tagged, str, "f")], pairs(tagged.get("v")))


def _tagged(tag: str, text: Callable[[Any], Any] = str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {TAG: tag, "v": text(value)}


def _named(tag: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {TAG: tag, "c": type(value).__name__, "v": clean(str(value))}


WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    datetime: _moment,
    time: _moment,
    date: _tagged("date", date.isoformat),
    timedelta: _tagged("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    timezone: _tagged("zone", _zone),
    ZoneInfo: _tagged("zone", _zone),
    UUID: _tagged("uuid"),
    Decimal: _tagged("decimal"),
    re.Pattern: _pattern,
    **dict.fromkeys(_PATHS.values(), _named("path")),
    **{kind: _named("ip") for kind in _IPS.values() if isinstance(kind, type)},
}
"""Types that hold no other values."""

READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "str": _read_text,
    "int": lambda tagged: int(part_of(tagged, str), 16),
    "float": _read_float,
    "bytes": lambda tagged: base64.b64decode(part_of(tagged, str), validate=True),
    "bytearray": lambda tagged: bytearray(base64.b64decode(part_of(tagged, str), validate=True)),
    "tuple": lambda tagged: tuple(part_of(tagged, list)),
    "set": lambda tagged: set(part_of(tagged, list)),
    "frozenset": lambda tagged: frozenset(part_of(tagged, list)),
    "deque": lambda tagged: deque(part_of(tagged, list), tagged.get("m")),
    "dict": lambda tagged: dict(pairs(tagged.get("v"))),
    "OrderedDict": lambda tagged: OrderedDict(pairs(tagged.get("v"))),
    "Counter": lambda tagged: Counter(dict(pairs(tagged.get("v")))),
    "defaultdict": _read_defaultdict,
    "datetime": lambda tagged: _read_moment(datetime, tagged),
    "time": lambda tagged: _read_moment(time, tagged),
    "date": lambda tagged: date.fromisoformat(part_of(tagged, str)),
    "timedelta": lambda tagged: timedelta(*part_of(tagged, list)),
    "zone": lambda tagged: _read_zone(tagged.get("v")),
    "uuid": lambda tagged: UUID(part_of(tagged, str)),
    "decimal": lambda tagged: Decimal(part_of(tagged, str)),
    "pattern": _read_pattern,
    "path": lambda tagged: _PATHS[part_of(tagged, str, "c")](part_of(tagged, str)),
    "ip": lambda tagged: _IPS[part_of(tagged, str, "c")](part_of(tagged, str)),
}
"""What each tag stands for."""
