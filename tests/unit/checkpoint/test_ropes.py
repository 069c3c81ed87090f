"""Ropes: the same list has the same pieces whatever its history, and every descriptor gives its list back."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable.checkpoint.state.ropes import Rope, descriptor, digest_of, extended, items_of, pieces_of
from durable.errors import CorruptPayload

ITEMS = st.lists(st.binary(max_size=700), max_size=60)


def stored(items):
    rope, pieces = extended(Rope(), 0, items)
    return rope, dict(pieces)


def fetch_from(pieces):
    return lambda digests: {digest: pieces[digest] for digest in digests if digest in pieces}


@settings(max_examples=200, deadline=None)
@given(ITEMS, ITEMS, st.integers(0, 60))
def test_a_list_cut_against_another_is_the_list_cut_afresh(first, rest, kept):
    base, pieces = stored(first)
    kept = min(kept, len(first))
    wanted = first[:kept] + rest
    start = base.resume_at(kept)
    assert start <= kept
    rope, new = extended(base, start, wanted[start:])
    afresh, needed = stored(wanted)
    assert descriptor(rope) == descriptor(afresh)
    assert needed.keys() <= pieces.keys() | new.keys()
    fetch = fetch_from(pieces | new)
    assert items_of(descriptor(rope), fetch) == wanted
    assert pieces_of(descriptor(rope), fetch) == needed.keys()
    assert len(rope) == len(wanted)


def test_appending_to_thousands_of_items_makes_a_few_pieces():
    rng = random.Random(1)
    items = [rng.randbytes(200) for _ in range(5000)]
    rope, _ = stored(items)
    longest = total = 0
    for _ in range(500):
        start = rope.resume_at(len(rope))
        assert start == len(rope)
        rope, pieces = extended(rope, start, [rng.randbytes(200)])
        cost = len(descriptor(rope)) + sum(map(len, pieces.values()))
        longest, total = max(longest, cost), total + cost
    assert total / 500 < 1100
    assert longest < 5000


def test_a_change_in_the_middle_does_not_move_what_comes_after():
    rng = random.Random(1)
    items = [rng.randbytes(200) for _ in range(2000)]
    _, before = stored(items)
    items[700:701] = [b"two", b"instead"]
    _, after = stored(items)
    chunks = [piece for digest, piece in after.items() if digest not in before and not is_node(piece, after)]
    assert len(chunks) <= 3


def is_node(piece, pieces):
    return len(piece) == 128 and piece[:16] in pieces


def test_huge_and_tiny_items_are_packed():
    rope, pieces = stored([b""] * 100_000)
    assert len(pieces) < 1000
    rope, pieces = stored([b"x" * 100_000] * 3)
    assert (len(rope.ends), len(pieces)) == (3, 1)


@pytest.mark.parametrize("spoil", ["missing", "shortened", "cut", "empty"])
def test_what_was_spoilt_is_an_error(spoil):
    rope, pieces = stored([bytes([n]) * 300 for n in range(40)])
    data = descriptor(rope)
    if spoil == "missing":
        pieces.popitem()
    elif spoil == "shortened":
        pieces = {digest: piece[:5] for digest, piece in pieces.items()}
    else:
        data = data[: len(data) // 3] if spoil == "cut" else b""
    with pytest.raises(CorruptPayload, match="missing or was changed"):
        items_of(data, fetch_from(pieces))


def test_a_piece_is_stored_under_its_own_digest():
    _, pieces = stored([bytes([n]) * 300 for n in range(40)])
    assert all(digest == digest_of(piece) for digest, piece in pieces.items())
