"""Store a list in pieces, so that a version which differs in a few items costs a few pieces.

Items are packed into chunks that end where the content of an item says so; eight digests of closed chunks make a
node, eight digests of nodes a node of the next level. What is not full yet stands in the rope's own descriptor:

    descriptor = open digests of each level + the items of the open chunk

Appending an item rewrites the descriptor (some 600 bytes) and closes a chunk now and then; an item changed in the
middle costs its chunk and digests. Equal lists have equal pieces whatever their history was, so pieces are
stored under their digest (blake2b, 16 bytes) and shared by all versions that have them.

Pure functions over encoded items (bytes); a piece is read back by whoever knows where pieces are kept.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING
from zlib import crc32

from durable.checkpoint.errors import CorruptPayload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

FANOUT = 8
"""Digests in a node."""
SHORTEST, SPAN, LONGEST = 256, 512, 2048
"""Bytes: a chunk has at least the first, SPAN more on average, and ends at the last at the latest."""
DIGEST = 16
"""Bytes of a digest."""

_LENGTH = struct.Struct("<I")
_COUNTS = struct.Struct("<IB")
_OPEN = struct.Struct("<B")


@dataclass(frozen=True, slots=True)
class Rope:
    """List as it is stored. Never changed: ``extended`` makes another one that shares its pieces.

    ``ends[i]`` is the number of items up to the end of chunk ``i``; ``levels[0]`` are the digests of all closed
    chunks, ``levels[n]`` those of the full nodes over ``levels[n - 1]``; ``tail`` are the items of the open chunk.
    """

    ends: Sequence[int] = ()
    levels: Sequence[Sequence[bytes]] = ((),)
    tail: Sequence[bytes] = field(default=(), repr=False)

    @property
    def closed(self) -> int:
        """Return how many items are in closed chunks."""
        return self.ends[-1] if self.ends else 0

    def __len__(self) -> int:
        return self.closed + len(self.tail)

    def resume_at(self, common: int) -> int:
        """Return from which item on to give a list that has the first ``common`` items of this one: a place to cut."""
        if common >= self.closed:
            return min(common, len(self))
        whole = bisect_right(self.ends, common)
        return self.ends[whole - 1] if whole else 0


def digest_of(piece: bytes) -> bytes:
    """Return what a piece is stored under."""
    return blake2b(piece, digest_size=DIGEST).digest()


def extended(base: Rope, start: int, items: Iterable[bytes]) -> tuple[Rope, dict[bytes, bytes]]:
    """Return a rope of the first ``start`` items of ``base`` and then ``items``; and the pieces that are new.

    ``start`` is what ``resume_at`` said.
    """
    whole = bisect_right(base.ends, start)
    ends = list(base.ends[:whole])
    chunks = list(base.levels[0][:whole])
    closed = ends[-1] if ends else 0
    tail = list(base.tail[: start - closed]) if start > closed else []
    size = sum(len(item) + _LENGTH.size for item in tail)
    pieces: dict[bytes, bytes] = {}
    for item in items:
        tail.append(item)
        size += len(item) + _LENGTH.size
        if size >= LONGEST or (size >= SHORTEST and crc32(item) % SPAN < len(item)):
            chunk = _packed(tail)
            chunks.append(digest_of(chunk))
            pieces[chunks[-1]] = chunk
            closed += len(tail)
            ends.append(closed)
            tail = []
            size = 0
    return Rope(ends, _levels(chunks, base.levels, whole, pieces), tail), pieces


def _levels(
    chunks: Sequence[bytes], base: Sequence[Sequence[bytes]], same: int, pieces: dict[bytes, bytes]
) -> list[Sequence[bytes]]:
    """Return all levels over ``chunks``, of which the first ``same`` are those of ``base``.

    New nodes go into ``pieces``.
    """
    levels = [chunks]
    while len(levels[-1]) >= FANOUT:
        below = levels[-1]
        same //= FANOUT
        nodes = list(base[len(levels)][:same]) if len(levels) < len(base) else []
        for first in range(len(nodes) * FANOUT, len(below) - FANOUT + 1, FANOUT):
            node = b"".join(below[first : first + FANOUT])
            nodes.append(digest_of(node))
            pieces[nodes[-1]] = node
        levels.append(nodes)
    return levels


def descriptor(rope: Rope) -> bytes:
    """Return what stands for the rope in a row: the highest level first, then what is open of each level below."""
    parts = [_COUNTS.pack(len(rope), len(rope.levels))]
    for level in reversed(rope.levels):
        unfilled = level[len(level) // FANOUT * FANOUT :]
        parts += [_OPEN.pack(len(unfilled)), *unfilled]
    return b"".join([*parts, _packed(rope.tail)])


def _packed(items: Iterable[bytes]) -> bytes:
    return b"".join([part for item in items for part in (_LENGTH.pack(len(item)), item)])


def _unpacked(chunk: bytes) -> list[bytes]:
    items = []
    at = 0
    while at < len(chunk):
        (length,) = _LENGTH.unpack_from(chunk, at)
        at += _LENGTH.size + length
        items.append(chunk[at - length : at])
    return items


def items_of(stored: bytes, fetch: Callable[[Sequence[bytes]], Mapping[bytes, bytes]]) -> list[bytes]:
    """Return the items of a descriptor. ``fetch`` gives the pieces of some digests. Raises CorruptPayload."""
    count, chunks, _, tail = _walk(stored, fetch)
    held = fetch(chunks)
    try:
        items = [item for digest in chunks for item in _unpacked(held[digest])]
    except (KeyError, struct.error) as exc:
        raise _corrupt(exc) from exc
    items += _unpacked(tail)
    if len(items) != count:
        raise _corrupt((len(items), count))
    return items


def pieces_of(stored: bytes, fetch: Callable[[Sequence[bytes]], Mapping[bytes, bytes]]) -> set[bytes]:
    """Return the digests of all pieces that a descriptor needs. Raises CorruptPayload."""
    _, chunks, nodes, _ = _walk(stored, fetch)
    return {*chunks, *nodes}


def _walk(
    stored: bytes, fetch: Callable[[Sequence[bytes]], Mapping[bytes, bytes]]
) -> tuple[int, list[bytes], list[bytes], bytes]:
    """Walk from the highest level down.

    Returns (number of items, digests of the chunks, digests of the nodes, open chunk).
    """
    nodes: list[bytes] = []
    chunks: list[bytes] = []
    try:
        count, height = _COUNTS.unpack_from(stored)
        at = _COUNTS.size
        for _ in range(height):
            nodes += chunks
            held = fetch(chunks)
            chunks = [digest for node in chunks for digest in _split(held[node])]
            width = stored[at] * DIGEST
            chunks += _split(stored[at + 1 : at + 1 + width])
            at += 1 + width
    except (KeyError, IndexError, struct.error) as exc:
        raise _corrupt(exc) from exc
    return count, chunks, nodes, stored[at:]


def _split(node: bytes) -> list[bytes]:
    return [node[at : at + DIGEST] for at in range(0, len(node), DIGEST)]


def _corrupt(why: object) -> CorruptPayload:
    return CorruptPayload(f"a piece of a stored list is missing or was changed ({why!r:.100})")
