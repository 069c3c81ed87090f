"""What is stored, seen by a process that knows none of the types."""

from __future__ import annotations

import enum
import json
import re
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

from durable.checkpoint.codec.codec import Codec
from durable.checkpoint.codec.view import view


@dataclass
class Point:
    x: int
    tags: tuple[str, ...] = ()
    more: dict[Any, Any] = field(default_factory=dict)


class Model(BaseModel, extra="allow"):
    point: Point


class Colour(enum.Enum):
    RED = 1


POINT = f"{__name__}:Point"
SEEN = {
    "what JSON has": ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
    "lists of all kinds": ([(1,), {2}, frozenset({3}), deque([4], 9)], [[1], [2], [3], [4]]),
    "dicts of all kinds": (
        [OrderedDict(a=1), Counter("bb"), defaultdict(int, c=3), {1: "one", (2,): "two"}],
        [{"a": 1}, {"b": 2}, {"c": 3}, {"1": "one", "[2]": "two"}],
    ),
    "a key that looks like a tag": ({"$t": "tuple", "v": 1}, {"$t": "tuple", "v": 1}),
    "an instant": (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
    "a wall clock": (
        datetime(2026, 1, 2, 3, 4, tzinfo=ZoneInfo("Europe/Berlin")),
        "2026-01-02T03:04:00 Europe/Berlin",
    ),
    "a named offset": (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2), "X")), "2026-01-02T00:00:00 2:00:00"),
    "texts": (
        [date(2026, 1, 2), Decimal("1.20"), UUID(int=0), PurePosixPath("/a"), re.compile("b")],
        ["2026-01-02", "1.20", "00000000-0000-0000-0000-000000000000", "/a", "b"],
    ),
    "a duration is seconds": (timedelta(days=1, seconds=2), 86402.0),
    "bytes": (b"abc", {"$type": "bytes", "base64": "YWJj"}),
    "no number": (float("nan"), "nan"),
    "a lone surrogate": ("a\ud800", "a\ufffd"),
    "an object": (Point(1, ("t",), {1: 2}), {"$type": POINT, "x": 1, "tags": ["t"], "more": {"1": 2}}),
    "a model": (
        Model(point=Point(1), extra=2),
        {"$type": f"{__name__}:Model", "point": {"$type": POINT, "x": 1, "tags": [], "more": {}}, "extra": 2},
    ),
    "a member": (Colour.RED, {"$type": f"{__name__}:Colour", "name": "RED"}),
    "an error": (ValueError("why", 1), {"$type": "builtins:ValueError", "args": ["why", 1]}),
}


@pytest.mark.parametrize("what", SEEN)
def test_a_value_is_shown_as_plain_json(what):
    value, shown = SEEN[what]
    seen = view(Codec([Point, Model, Colour]).encode(value))
    assert seen == shown
    assert json.loads(json.dumps(seen)) == shown


def test_an_int_of_any_size_can_be_shown():
    assert json.dumps(view(Codec().encode(1 << 100_000))).startswith('"0x1000')


@pytest.mark.parametrize("data", [b"", b"\x00\x01", b"{", b"[" * 100_000, b'{"v":1,"d":{"$t":'])
def test_what_cannot_be_read_is_shown_as_such(data):
    assert list(view(data)) == ["$unreadable"]


@pytest.mark.parametrize(
    "data",
    [
        b'{"v":1,"d":{"$t":"tuple"}}',
        b'{"v":1,"d":{"$t":"dict","v":[1]}}',
        b'{"v":1,"d":{"$t":"timedelta","v":"x"}}',
        b'{"v":1,"d":{"$t":"datetime","v":"x","z":[null]}}',
        b'{"v":1,"d":{"$t":7}}',
        b'{"v":1,"d":{"$t":"os:system","v":["a"]}}',
    ],
)
def test_crafted_data_provokes_nothing(data):
    assert json.dumps(view(data))
