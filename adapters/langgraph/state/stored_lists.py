"""Lists of a state: what has changed since the last checkpoint is found without encoding all of it again.

Appending to a list of thousands of messages encodes the new ones. The items of the last stored version are remembered
part by part (see ``look``), and by the digest of their encoding: a message that was changed in place is stored as it
is now.

What is not worth remembering is forgotten, the longest unused list first; then the next version is encoded whole,
and gives the same pieces.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from durable.adapters.langgraph.state.unchanged import Look, look
from durable.checkpoint.state import ropes
from durable.checkpoint.state.ropes import Rope
from durable.checkpoint.state.snapshots import Cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from durable.checkpoint.state.snapshots import SnapshotPlace, Version

    Encode = Callable[[Any, int], bytes]
    _Seen = tuple[Look | None, bytes]

REMEMBERED = 200_000
"""Items of all lists together."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A list as it was stored last, and what each of its items was then."""

    cut: Cut
    seen: Sequence[_Seen]

    @property
    def size(self) -> int:
        """What it counts for; a short list is not free."""
        return 10 + len(self.seen)


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
        self._known: OrderedDict[tuple[SnapshotPlace, str], _Known] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def prepare(
        self, at: tuple[SnapshotPlace, str], cut: tuple[Version, str], items: list[Any], encode: Encode
    ) -> Prepared:
        """Cut a list against its last stored version. ``encode`` gets an item and its index; its errors are raised."""
        items = list(items)  # the caller's may grow meanwhile
        with self._lock:
            known = self._known.get(at)
        version, tag = cut
        if known is None or known.cut.tag != tag:
            known = _Known(Cut.of("", Rope(), tag), ())
        same = _compared(known, items, encode)
        start = known.cut.rope.resume_at(len(same))
        fresh = [_seen(item, index, encode) for index, item in enumerate(items[start:], start)]
        rope, pieces = ropes.extended(known.cut.rope, start, [encoded for _, encoded in fresh])
        made = Cut.of(version, rope, tag)
        self._remember(at, _Known(made, same[:start] + [seen for seen, _ in fresh]))
        shares = known.cut.rope.ends and start >= known.cut.rope.ends[0]
        return Prepared(made, pieces, known.cut if shares else None)

    def forget(self, at: tuple[SnapshotPlace, str]) -> None:
        """The next version of this list is encoded whole: the last one was not stored, or is not there any more."""
        with self._lock:
            self._drop(at)

    def _remember(self, at: tuple[SnapshotPlace, str], known: _Known) -> None:
        with self._lock:
            self._drop(at)
            if known.size > self._limit:
                return
            self._known[at] = known
            self._size += known.size
            while self._size > self._limit:
                self._drop(next(iter(self._known)))

    def _drop(self, at: tuple[SnapshotPlace, str]) -> None:
        known = self._known.pop(at, None)
        if known is not None:
            self._size -= known.size


def _seen(item: Any, index: int, encode: Encode) -> tuple[_Seen, bytes]:
    """An item, and its encoding; looked at before that is made: what is changed in between is found next time."""
    now = look(item)
    encoded = encode(item, index)
    return (now, blake2b(encoded, digest_size=16).digest()), encoded


def _compared(known: _Known, items: list[Any], encode: Encode) -> list[_Seen]:
    """The items at the beginning that are as those of the known list were."""
    same: list[_Seen] = []
    for index, (item, before) in enumerate(zip(items, known.seen, strict=False)):
        if before[0] is None or not before[0].holds(item):
            now, _ = _seen(item, index, encode)
            if now[1] != before[1]:
                break
            same.append(now)
        else:
            same.append(before)
    return same
