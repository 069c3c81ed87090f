"""Lists of a state: what has changed since the last checkpoint is found without encoding all of it again.

Appending to a list of thousands of messages encodes the new ones. The items of the last stored version are remembered
by what they consist of, not by identity: a message that was changed in place is stored as it is now.

What is not worth remembering is forgotten, the longest unused list first; then the next version is encoded whole,
and gives the same pieces.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from durable.checkpoint import ropes
from durable.checkpoint.ropes import Rope
from durable.checkpoint.snapshots import Cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from durable.checkpoint.snapshots import Place, Version

    Encode = Callable[[Any, int], bytes]

REMEMBERED = 200_000
"""Items of all lists together."""

_ATOMS = frozenset({str, int, float, bool, type(None), bytes})
_MARK = 16
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class _Known:
    """A list as it was stored last: its items, and what each consisted of then."""

    cut: Cut
    items: Sequence[Any]
    marks: Sequence[bytes]

    @property
    def size(self) -> int:
        """What it counts for; a short list is not free."""
        return 10 + len(self.items)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A list ready to be stored: its rope, the pieces that are new, and the version they are new against."""

    cut: Cut
    pieces: Mapping[bytes, bytes]
    base: Cut | None


class Lists:
    """The lists of a process that were stored last, by place and channel. Thread-safe."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._limit = remembered
        self._known: OrderedDict[tuple[Place, str], _Known] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def prepare(self, at: tuple[Place, str], cut: tuple[Version, str], items: list[Any], encode: Encode) -> Prepared:
        """Cut a list against its last stored version. ``encode`` gets an item and its index; its errors are raised."""
        items = list(items)  # the caller's may grow meanwhile
        with self._lock:
            known = self._known.get(at)
        version, tag = cut
        if known is None or known.cut.tag != tag:
            known = _Known(Cut.of("", Rope(), tag), (), ())
        same = _unchanged(known, items, encode)
        start = known.cut.rope.resume_at(same)
        marks, encoded = list(known.marks[:start]), []
        for index, item in enumerate(items[start:], start):
            content = _content(item)  # before it is encoded: what is changed in between is found next time
            encoded.append(encode(item, index))
            marks.append(_digest(encoded[-1] if content is None else content))
        rope, pieces = ropes.extended(known.cut.rope, start, encoded)
        made = Cut.of(version, rope, tag)
        self._remember(at, _Known(made, items, marks))
        shares = known.cut.rope.ends and start >= known.cut.rope.ends[0]
        return Prepared(made, pieces, known.cut if shares else None)

    def forget(self, at: tuple[Place, str]) -> None:
        """The next version of this list is encoded whole: the last one was not stored, or is not there any more."""
        with self._lock:
            self._drop(at)

    def _remember(self, at: tuple[Place, str], known: _Known) -> None:
        with self._lock:
            self._drop(at)
            if known.size > self._limit:
                return
            self._known[at] = known
            self._size += known.size
            while self._size > self._limit:
                self._drop(next(iter(self._known)))

    def _drop(self, at: tuple[Place, str]) -> None:
        known = self._known.pop(at, None)
        if known is not None:
            self._size -= known.size


def _unchanged(known: _Known, items: list[Any], encode: Encode) -> int:
    """How many items at the beginning are as those of the known list were."""
    for index, (item, before, mark) in enumerate(zip(items, known.items, known.marks, strict=False)):
        if item is before and type(item) in _ATOMS:
            continue
        content = _content(item)
        if _digest(encode(item, index) if content is None else content) != mark:
            return index
    return min(len(items), len(known.items))


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_MARK).digest()


def _content(item: Any) -> bytes | None:
    """All of a plain value, or of a pydantic model of plain values, much faster than encoding it; else None."""
    state: Any = item
    if isinstance(item, BaseModel):
        state = [
            item.__dict__,
            item.__pydantic_extra__,
            item.__pydantic_private__,
            sorted(item.__pydantic_fields_set__),
        ]
    if not _is_plain(state, 0):
        return None
    try:
        return f"{type(item).__module__}:{type(item).__qualname__}{state!r}".encode("utf-8", "surrogatepass")
    except ValueError:  # an int with too many digits to be shown
        return None


def _is_plain(value: Any, depth: int) -> bool:
    """Whether the value and all in it are exactly builtins whose repr says all of them."""
    kind = type(value)
    if kind in _ATOMS:
        return True
    if depth > _DEEPEST:
        return False
    if kind is dict:
        return all(type(key) is str for key in value) and all(_is_plain(item, depth + 1) for item in value.values())
    return (kind is list or kind is tuple) and all(_is_plain(item, depth + 1) for item in value)
