"""Take one value to JSON: a fast look for what is JSON already, and a walk for everything else.

A value that cannot be stored is refused with its path, ``result.items[2]``. The path is put together while the
refusal unwinds, so that a value that can be stored does not pay for it.
"""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, defaultdict, deque
from itertools import chain
from typing import TYPE_CHECKING, Any

from durable.checkpoint.codec.builtins import TAG, WRITERS, blob, clean, factory_name, stands
from durable.checkpoint.codec.names import shown_name, stored_name
from durable.checkpoint.codec.types import MAPS, Refused, Shape
from durable.checkpoint.errors import NotEncodable, PayloadTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MAX_DEPTH = 200
"""Levels of nesting: each takes three frames of a stack that has 1,000."""
TOO_DEEP = (f"more than {MAX_DEPTH} levels of nesting", "flatten it, or store it elsewhere and keep a reference")

_WIDE = 1 << 2048  # larger ints are stored as hex: how many decimal digits may be parsed is a setting of the process
_ATOMS = frozenset({bool, float, type(None)})
_LEAVES = _ATOMS | {str, int}


def _encoder(*, sort_keys: bool) -> json.JSONEncoder:
    return json.JSONEncoder(
        ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys
    )


READABLE = _encoder(sort_keys=False)
CANONICAL = _encoder(sort_keys=True)


def plain_size(value: Any, limit: int, depth: int = 0) -> int:
    """Return a lower bound of the size in bytes if the value is JSON as it stands; -1 if it is not (or may not be).

    Stops soon after ``limit``: a few shared references can stand for terabytes.
    """
    size_of = _SIZES.get(type(value))
    if size_of is not None:
        return size_of(value, limit, depth)
    return _plain_items((value,), limit, depth) if type(value) in _LEAVES else -1


def _plain_dict(value: dict[Any, Any], limit: int, depth: int) -> int:
    size = 0
    for key in value:
        if type(key) is not str or key == TAG:
            return -1
        size += len(key)
    return _plain_items(value.values(), limit, depth, size)


def _plain_items(items: Collection[Any], limit: int, depth: int, size: int = 0) -> int:
    if depth > MAX_DEPTH:
        return -1
    size += 2 * len(items)
    for item in items:
        kind = type(item)
        if kind is str:
            size += len(item)
        elif kind is int:
            if not -_WIDE < item < _WIDE:
                return -1
        elif kind not in _ATOMS:
            size_of = _SIZES.get(kind)
            inner = -1 if size_of is None else size_of(item, limit, depth + 1)
            if inner < 0:
                return -1
            size += inner
            if size > limit:
                break
    return size


_SIZES: dict[type, Callable[[Any, int, int], int]] = {dict: _plain_dict, list: _plain_items}


class Walk:
    """One value on its way to JSON. Each method returns JSON, and raises Refused or PayloadTooLarge.

    ``left`` is what is left of the limit, counted from below: two bytes an item and the length of each string.
    """

    __slots__ = ("canonical", "left", "limit", "shape_for", "what")

    def __init__(self, shape_for: Callable[[type], Shape], limit: int, what: str, *, canonical: bool) -> None:
        self.shape_for = shape_for
        self.limit = self.left = limit
        self.what = what
        self.canonical = canonical

    def one(self, value: Any, depth: int) -> Any:
        """Return any value as JSON, by its exact type."""
        kind = type(value)
        if kind is str:
            self.left -= len(value)
            return value if value.isascii() else clean(value)
        if kind is float:
            return value if math.isfinite(value) else {TAG: "float", "v": repr(value)}
        if kind in _ATOMS:
            return value
        write = WRITERS.get(kind)
        if write is not None:
            return write(value)
        walk = _WALKS.get(kind)
        if walk is not None:
            return walk(self, value, depth)
        return self.shaped(value, kind, depth)

    def spend(self, size: int) -> None:
        """Count some bytes. Raises PayloadTooLarge."""
        self.left -= size
        if self.left < 0:
            raise PayloadTooLarge(self.limit - self.left, self.limit, self.what)

    def enter(self, count: int, depth: int) -> None:
        """Go into a container of so many items."""
        self.spend(2 * count)
        if depth > MAX_DEPTH:
            raise Refused(*TOO_DEEP)

    def whole(self, value: int, _: int) -> Any:
        """Return an int of any size."""
        if -_WIDE < value < _WIDE:
            return value
        self.spend(value.bit_length() // 4)
        return {TAG: "int", "v": hex(value)}

    def blob(self, value: bytes | bytearray, _: int) -> Any:
        """Return bytes, counted before they are copied."""
        self.spend(len(value) * 4 // 3)
        return blob(value)

    def items(self, value: Collection[Any], depth: int, *, lossy: bool = False) -> list[Any]:
        """Return values in their order; if lossy, the repr of one that cannot be stored."""
        self.enter(len(value), depth)
        out: list[Any] = []
        for item in value:
            before = self.left
            try:
                out.append(self.one(item, depth + 1))
            except Refused as refused:
                if not lossy or refused.type_name == TOO_DEEP[0]:
                    refused.trail.append((f"[{len(out)}]", id(value)))
                    raise
                self.left = before
                out.append(_shown(item))
        return out

    def mapping(self, value: dict[Any, Any], depth: int) -> Any:
        """Return a dict; as pairs, unless each key may stand as it is."""
        for key in value:
            if type(key) is not str or key == TAG or not stands(key):
                return {TAG: "dict", "v": self.pairs(value, depth)}
        return self.named(value, depth, _step)

    def named(
        self,
        value: Mapping[str, Any],
        depth: int,
        step: Callable[[Any], str],
        *,
        shape: Shape | None = None,
    ) -> dict[str, Any]:
        """Return values by name: of a dict, or the attributes of an object of ``shape``, which may do without some."""
        self.enter(len(value), depth)
        out = {}
        for name, item in value.items():
            before = self.left = self.left - len(name)
            try:
                out[name] = self.one(item, depth + 1)
            except Refused as refused:
                if shape is None or refused.type_name == TOO_DEEP[0] or not (shape.lossy or name in shape.remade):
                    refused.trail.append((step(name), id(value)))
                    raise
                self.left = before
                if shape.lossy:
                    out[name] = _shown(item)
        return out

    def pairs(self, value: Mapping[Any, Any], depth: int) -> list[Any]:
        """Return keys and values in turn, in their order; in the order of the keys' JSON if canonical."""
        self.enter(2 * len(value), depth)
        out: list[tuple[Any, Any]] = []
        step = ""
        try:
            for key, item in value.items():
                step = f".keys()[{len(out)}]"
                stored = self.one(key, depth + 1)
                step = _step(key)
                out.append((stored, self.one(item, depth + 1)))
        except Refused as refused:
            refused.trail.append((step, id(value)))
            raise
        if self.canonical and type(value) is not OrderedDict:
            out.sort(key=lambda pair: CANONICAL.encode(pair[0]))
        return list(chain.from_iterable(out))

    def unordered(self, value: Collection[Any], depth: int) -> list[Any]:
        """Return a set in the same order in every process, so that equal values have equal bytes."""
        return sorted(self.items(value, depth), key=CANONICAL.encode)

    def defaultdict(self, value: defaultdict[Any, Any], depth: int) -> Any:
        """Return a defaultdict of a builtin type."""
        return {TAG: "defaultdict", "f": factory_name(value.default_factory), "v": self.pairs(value, depth)}

    def deque(self, value: deque[Any], depth: int) -> Any:
        """Return a deque and its bound."""
        return {TAG: "deque", "v": self.items(value, depth), "m": value.maxlen}

    def shaped(self, value: Any, kind: type, depth: int) -> dict[str, Any]:
        """Return an object of an allowed class."""
        shape = self.shape_for(kind)
        out: dict[str, Any] = {TAG: stored_name(kind)}
        try:
            for part, content in shape.split(value).items():
                if part in MAPS:
                    out[part] = self.attributes(content, depth, shape)
                elif part == "a":
                    out[part] = self.items(content, depth, lossy=shape.lossy)
                else:
                    out[part] = _WALKS.get(type(content), Walk.one)(self, content, depth)
        except Refused as refused:
            refused.trail.append(("", id(value)))
            raise
        return out

    def attributes(self, content: dict[Any, Any], depth: int, shape: Shape) -> Any:
        """Return attributes by name; as pairs, if one has a name that may not stand as it is."""
        for name in content:
            if type(name) is not str:
                raise Refused(shown_name(shape.cls), "it has an attribute whose name is no string")
            if name == TAG or not stands(name):
                named = self.named(content, depth, _attribute, shape=shape)
                return [*chain.from_iterable((clean(name), item) for name, item in named.items())]
        return self.named(content, depth, _attribute, shape=shape)


_WALKS: dict[type, Callable[[Walk, Any, int], Any]] = {
    int: Walk.whole,
    bytes: Walk.blob,
    bytearray: Walk.blob,
    list: Walk.items,
    dict: Walk.mapping,
    tuple: lambda walk, value, depth: {TAG: "tuple", "v": walk.items(value, depth)},
    set: lambda walk, value, depth: {TAG: "set", "v": walk.unordered(value, depth)},
    frozenset: lambda walk, value, depth: {TAG: "frozenset", "v": walk.unordered(value, depth)},
    OrderedDict: lambda walk, value, depth: {TAG: "OrderedDict", "v": walk.pairs(value, depth)},
    Counter: lambda walk, value, depth: {TAG: "Counter", "v": walk.pairs(value, depth)},
    defaultdict: Walk.defaultdict,
    deque: Walk.deque,
}
NATIVE = _ATOMS | {str} | WRITERS.keys() | _WALKS.keys()


def not_encodable(refused: Refused, what: str) -> NotEncodable:
    """Return the refusal with its path. Too deep is a cycle if a container is inside itself."""
    trail = refused.trail[::-1]
    steps = [step for step, _ in trail]
    if refused.type_name == TOO_DEEP[0]:
        places: dict[int, int] = {}
        for place, (_, owner) in enumerate(trail):
            first = places.setdefault(owner, place)
            if first != place:
                again = what + "".join(steps[:first])
                return NotEncodable(what + "".join(steps[:place]), "cycle", f"it is {again} again: keep an id instead")
        steps = [*filter(None, steps[:6]), "..."]
    return NotEncodable(what + "".join(steps), refused.type_name, refused.remedy)


def _attribute(name: str) -> str:
    return f".{name}" if name.isidentifier() and len(name) <= 100 else f"[{name[:40]!a}]"  # noqa: PLR2004


def _step(key: Any) -> str:
    if type(key) is str:
        return _attribute(key)
    plain = key is None or type(key) in (bool, float) or (type(key) is int and abs(key) < _WIDE)
    return f"[{key!r}]" if plain else f"[{shown_name(type(key))}]"


def _shown(value: object) -> str:
    try:
        return str(clean(repr(value)[:1000]))
    except Exception:  # noqa: BLE001 - a repr may raise anything
        return f"<{shown_name(type(value))}>"
