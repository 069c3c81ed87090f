"""The codec's guarantee: what comes back equals what went in, or it is refused by name; and no data runs code."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import hashlib
import io
import ipaddress
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import threading
import typing
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel
from pydantic.dataclasses import dataclass as pydantic_dataclass

from durable.checkpoint.codec.builtins import READERS
from durable.checkpoint.codec.codec import Codec
from durable.checkpoint.codec.walk import MAX_DEPTH
from durable.errors import CorruptPayload, NotEncodable, PayloadTooLarge, UnknownType

T = typing.TypeVar("T")


class Color(enum.Enum):
    RED = 1
    CRIMSON = 1
    BLUE = (2, "two")


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mode(enum.StrEnum):
    FAST = "fast"


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    RUN = 4


class Bits(enum.IntFlag):
    ONE = 1
    TWO = 2


class Outer:
    class Inner(enum.Enum):
        ONLY = "name"

    @dataclasses.dataclass
    class Nested:
        x: int


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0
    total: int = dataclasses.field(init=False, default=0)

    def __post_init__(self):
        self.total = 41  # must not run on the way back: the tests set something else

    @functools.cached_property
    def lock(self):
        return threading.Lock()


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    tags: tuple[str, ...] = ()
    later: int = dataclasses.field(init=False, default=7, compare=True)


@dataclasses.dataclass(slots=True)
class Child(Outer.Nested):
    y: int = 2


@dataclasses.dataclass
class Box(typing.Generic[T]):
    item: T


@pydantic_dataclass
class Checked:
    n: int


class Slotted:
    __slots__ = ("__dict__", "__private", "a", "unset")

    def __init__(self, a):
        self.a = a
        self.__private = 1

    def __eq__(self, other):
        return self.a == other.a and self.__private == other.__private and vars(self) == vars(other)

    __hash__ = None


class Plain:
    def __init__(self, a):
        self.a = a

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value if name != "a" else value * 2)

    def __eq__(self, other):
        return vars(self) == vars(other)

    __hash__ = None


class Pair(NamedTuple):
    left: Any
    right: int = 2


class UserId(str):
    __slots__ = ()


class Cents(int):
    pass


class Rows(list):
    pass


class Attributes(dict):
    def __getitem__(self, key):
        raise AssertionError("not to be asked")


class Names(frozenset):
    pass


class Base(BaseModel):
    id: int = 0


class Sub(Base):
    name: str = "n"


class Holder(BaseModel):
    model_config = ConfigDict(extra="allow")
    items: list[Base]
    other: Base | None = None
    made: list[int] = Field(default_factory=list)
    aliased: int = Field(default=1, alias="as")
    _count: int = PrivateAttr(default=0)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _client: Any = PrivateAttr(default=None)

    def __eq__(self, other):  # locks are never equal
        return (
            vars(self) == vars(other)
            and self.model_extra == other.model_extra
            and self.model_fields_set == other.model_fields_set
            and self._count == other._count
        )

    __hash__ = None


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    n: int

    @functools.cached_property
    def twice(self):
        return open  # cannot be stored, and need not be


class Many(RootModel[list[int]]):
    pass


class Generic(BaseModel, typing.Generic[T]):
    item: T


class AppError(Exception):
    def __init__(self, order, *, code):
        super().__init__(f"order {order}")
        self.code = code


class FileProblem(OSError):
    pass


TYPES = (
    *(Color, Level, Mode, Access, Bits, Outer.Inner, Outer.Nested, Point, Frozen, Child, Box, Checked, Slotted, Plain),
    *(
        Pair,
        UserId,
        Cents,
        Rows,
        Attributes,
        Names,
        Base,
        Sub,
        Holder,
        Strict,
        Many,
        Generic[int],
        AppError,
        FileProblem,
    ),
)
CODEC = Codec(TYPES)


def same(left: Any, right: Any) -> bool:
    """Equal in value and in type, all the way down; NaN equals NaN, and 0.0 does not equal -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    if dataclasses.is_dataclass(left):
        return all(same(getattr(left, field.name), getattr(right, field.name)) for field in dataclasses.fields(left))
    if isinstance(left, Slotted):
        return same(left.a, right.a) and same(vars(left), vars(right))
    if isinstance(left, Holder):
        return same(vars(left), vars(right)) and same(left.model_extra, right.model_extra)
    if isinstance(left, list | tuple | deque):
        return len(left) == len(right) and all(map(same, left, right))
    if type(left) in (dict, OrderedDict, defaultdict, Counter):
        pairs = zip(left.items(), right.items(), strict=True)
        return len(left) == len(right) and all(same(a, c) and same(b, d) for (a, b), (c, d) in pairs)
    if type(left) in (set, frozenset):
        kinds = [sorted(type(item).__name__ for item in items) for items in (left, right)]
        return left == right and kinds[0] == kinds[1]
    if isinstance(left, Decimal):
        return str(left) == str(right)
    return left == right


def kind(value: Any) -> str | None:
    """A test id that is the same in every process."""
    return None if isinstance(value, str) else type(value).__name__


def back(value: Any, codec: Codec = CODEC) -> Any:
    data = codec.encode(value)
    json.loads(data.decode(), parse_constant=pytest.fail)  # proper JSON, in UTF-8
    return codec.decode(data)


def changed(value, **attributes):
    for name, item in attributes.items():
        object.__setattr__(value, name, item)
    return value


# ---------------------------------------------------------------------------------------------- round trips

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=()))
    | st.sampled_from(["$t", "v", "\ud83d\ude00", "\ud83d", "\0", "\u2028"])
    | st.binary()
    | st.decimals()
    | st.uuids()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.datetimes()
    | st.datetimes(timezones=st.timezones())
    | st.ip_addresses()
    | st.sampled_from([*Color, *Level, *Mode, *Outer.Inner, Access.READ | Access.RUN, Access(0), Bits.ONE | Bits.TWO])
)
KEYS = st.recursive(
    SCALARS.filter(lambda key: not (isinstance(key, float | Decimal) and Decimal(key).is_nan())),
    lambda keys: st.tuples(keys) | st.frozensets(keys, max_size=2),
    max_leaves=3,
)
STRINGS = st.sampled_from(["$t", "v", "d", "c", "id", "x y"]) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda values: (
        st.lists(values, max_size=4)
        | st.lists(values, max_size=4).map(tuple)
        | st.lists(values, max_size=4).map(lambda items: deque(items, 5))
        | st.dictionaries(STRINGS, values, max_size=4)
        | st.dictionaries(KEYS, values, max_size=3)
        | st.sets(KEYS, max_size=3)
        | values.map(Point)
        | values.map(Pair)
        | values.map(Slotted)
        | values.map(Box[Any])
        | values.map(lambda item: Holder(items=[], more=item))
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_any_value_comes_back_as_it_was(value):
    assert same(back(value), value)


NAIVE = (datetime(2024, 2, 29, 1, 2, 3, 4), datetime.min, datetime.max)

JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(exclude_categories=())),
    lambda values: st.lists(values, max_size=5) | st.dictionaries(STRINGS, values, max_size=5),
    max_leaves=20,
)
TAGS = st.sampled_from([*READERS, "os:system", f"{__name__}:Point", f"{__name__}:Color", "builtins:ValueError", "x"])


@settings(max_examples=300, deadline=None)
@given(
    JSON_LIKE,
    st.dictionaries(st.sampled_from(["v", "c", "d", "lc", "type", "id"]), JSON_LIKE, max_size=4),
    TAGS | JSON_LIKE,
)
def test_a_dict_that_looks_like_our_own_tags_comes_back_as_a_dict(inner, parts, tag):
    value = [{"$t": tag, **parts, "inner": inner}, {"v": 1, "d": inner}]
    assert same(back(value), value)
    assert same(back(Point(value, {"$t": "tuple", "v": [1]})).x, value)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 0, -1, 2**63, -(2**64), 10**700, -(10**5000), 0.0, -0.0, 1e308, 5e-324, 0.1),
        *(math.nan, math.inf, -math.inf, "", "a\0b", "\ud800", "\ud83d\ude00", "\U0001f600", "é\u2028", b"", b"\xff\0"),
        *(bytearray(b"ab"), [], {}, (), set(), frozenset(), [[]], ((),), [(1, [2])], {(1, 2): {3}}, {1: 1, "1": 2}),
        {None: 1, 1.5: 2, b"k": 3, frozenset({1}): 4, Color.RED: 5, date(2024, 1, 1): 6},
        {"b": 1, "a": 2},
        {"\ud800": 1},
        {"$t": "tuple", "v": [1]},
        {"lc": 2, "type": "constructor", "id": ["os", "system"], "kwargs": {}},
        *(deque([1, 2], maxlen=3), deque(), OrderedDict(b=1, a=2), Counter("abca"), Counter({"x": -1})),
        *(defaultdict(list, {"a": [1]}), defaultdict(None, a=1)),
        *(*NAIVE, datetime(2024, 1, 1, tzinfo=UTC)),
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30, seconds=5, microseconds=7))),
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), "CET")),
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), "\ud800")),
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        *(time(1, 2, 3, 4), time(1, tzinfo=UTC), time(1, tzinfo=ZoneInfo("Asia/Tokyo")), date.min),
        *(timedelta(-1, 5, 7), timedelta.max, UTC, timezone(timedelta(hours=2), "X"), ZoneInfo("Europe/Berlin")),
        *(uuid.UUID(int=5), Decimal("1.10"), Decimal("-0"), Decimal("NaN"), Decimal("sNaN12"), Decimal("-Infinity")),
        *(Decimal("1E+1000"), *Color, *Level, *Mode, Outer.Inner.ONLY, Access.READ | Access.WRITE, ~Access.READ),
        *(Bits(0), Bits.ONE | Bits.TWO, Bits(9)),
        *(pathlib.Path("/a/b"), pathlib.PurePosixPath("."), pathlib.PureWindowsPath("C:\\x"), pathlib.Path("\udcff")),
        *(re.compile("a(?P<x>.)", re.IGNORECASE | re.VERBOSE), re.compile(b"\xff*", re.DOTALL), re.compile("(?i)é")),
        *(ipaddress.ip_address("::1%eth0"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("10.1.2.3/8")),
        *(Point(1, (2,)), Frozen("a", ("b",)), Child(1, 3), Outer.Nested(5), Checked(3), Pair(1), Pair([1], 5)),
        *(Slotted({1}), Box(Box(1)), Box[int](3)),
        *(UserId("u\ud800"), Cents(5), Rows([1, (2,)]), Names({1}), {UserId("k"): Cents(1)}),
        *(Many([1, 2]), Many.model_construct([1]), Generic[int](item=1), Strict(n=1)),
    ],
    ids=kind,
)
def test_it_comes_back(value):
    assert same(back(value), value)
    assert same(back({"in": [value, value]}), {"in": [value, value]})


def test_fold_survives_in_naive_and_zoned_times():
    for zone in (None, ZoneInfo("Europe/Berlin")):
        moment = datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=zone)
        assert (back(moment).fold, back(moment).utcoffset()) == (1, moment.utcoffset())
    assert back(time(2, 30, fold=1)).fold == 1
    assert back(datetime(2024, 10, 27, tzinfo=ZoneInfo("Europe/Berlin"))).tzinfo is ZoneInfo("Europe/Berlin")
    assert back(datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), "CET"))).tzname() == "CET"


def test_insertion_order_and_the_order_of_an_ordered_dict_survive():
    assert list(back({"b": 1, "a": {3: 1, 2: 2}})) == ["b", "a"]
    assert list(back({3: 1, 2: 2})) == [3, 2]
    assert list(back(OrderedDict([("b", 1), ("a", 2)]))) == ["b", "a"]


def test_containers_keep_their_bounds_and_factories():
    assert back(deque([1], maxlen=3)).maxlen == 3
    assert back(defaultdict(list)).default_factory is list


def test_an_object_is_rebuilt_without_its_init_or_setattr():
    assert back(changed(Point(1), total=5)).total == 5
    assert back(changed(Frozen("a"), later=9)).later == 9
    assert vars(back(Plain(3))) == {"a": 6}
    slotted = changed(Slotted(1), more=[1])
    assert back(slotted).more == [1]
    assert not hasattr(back(slotted), "unset")


def test_what_can_be_derived_again_is_not_stored():
    point = Point(1)
    assert point.lock
    assert "lock" not in vars(back(point))
    strict = Strict(n=1)
    assert strict.twice
    assert back(strict) == strict


def test_attributes_beside_the_fields_survive():
    point = changed(Point(1), **{"extra note": 5, "$t": "tuple", "\ud800": [1]})
    assert vars(back(point)) == vars(point)


def test_a_subclass_of_a_builtin_keeps_its_attributes_and_is_not_asked():
    rows = Rows([1])
    rows.source = ("db", 1)
    assert back(rows).source == ("db", 1)
    made = back(Attributes({"a": (1,), 2: 3}))
    assert type(made) is Attributes
    assert dict(made) == {"a": (1,), 2: 3}


def test_a_model_keeps_fields_set_extras_private_attributes_and_subclasses():
    holder = Holder(items=[Sub(id=1), Base()], other=Sub(name="x"), more=(1, {"$t": "set"}), **{"as": 5, "$t": "x"})
    holder._count = 4
    made = back(holder)
    assert made == holder
    assert [type(item) for item in (*made.items, made.other)] == [Sub, Base, Sub]
    assert made.items[0].model_fields_set == {"id"}
    assert made.more == (1, {"$t": "set"})
    assert made._lock is not None  # its factory has made a new one
    assert made.model_dump() == holder.model_dump()
    assert made.model_copy(update={"made": [1]}).made == [1]


def test_a_model_that_was_never_validated_survives_as_it_is():
    odd = Base.model_construct(id="not a number")
    assert back(odd).id == "not a number"
    assert back(Base()).model_fields_set == set()
    assert back(Sub.model_construct(_fields_set={"zzz"})).model_fields_set == {"zzz"}
    assert Base.model_validate(back(Base(id=3))).id == 3


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("no", 1), KeyError("k"), SystemExit(3), StopIteration([1]), ValueError()),
        *(OSError(2, "gone", "/a"), PermissionError(13, "no", "/a", None, "/b"), OSError("just text")),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        ImportError("no", name="m", path="/p"),
        SyntaxError("bad", ("f.py", 1, 2, "x =", 1, 3)),
        ExceptionGroup("many", [ValueError(1), ExceptionGroup("inner", [KeyError("k")])]),
        *(AppError("o-1", code=5), FileProblem(2, "gone", "/a"), TimeoutError("late")),
    ],
    ids=kind,
)
def test_an_exception_comes_back_with_type_arguments_and_attributes(error):
    error.add_note("seen at noon")
    made = back(error)
    assert type(made) is type(error)
    assert (str(made), repr(made)) == (str(error), repr(error))
    assert same(vars(made), vars(error))
    assert made.__traceback__ is None
    for name in ("errno", "filename", "filename2", "code", "value", "start", "name", "path", "lineno"):
        assert getattr(made, name, None) == getattr(error, name, None)


def test_what_an_exception_carries_becomes_its_repr_if_it_cannot_be_stored():
    error = changed(ValueError(threading.Lock, [1, (lambda: 0)], (2,)), response=Outer())
    made = back(error)
    assert made.args[0] == repr(threading.Lock)
    assert made.args[1].startswith("[1, <function")
    assert made.args[2] == (2,)
    assert made.response.startswith("<")


def test_shared_objects_come_back_twice():
    item = [1]
    made = back([item, item])
    assert made == [[1], [1]]
    assert made[0] is not made[1]


# ------------------------------------------------------------------------------------------------- refusals


class Foreign:
    pass


class ForeignText(str):
    __slots__ = ()


class ForeignNumber(int):
    pass


class ForeignFloat(float):
    pass


class ForeignRows(list):
    pass


class ForeignMap(dict):
    pass


class ForeignError(Exception):
    pass


class Zone(tzinfo):
    def utcoffset(self, when):
        return timedelta(0)


class ForeignColor(enum.Enum):
    RED = 1


ForeignPair = collections.namedtuple("ForeignPair", "a")


def generator():
    yield 1


async def later():
    return 1


REFUSED = [
    (lambda: 0, "function", "return data, not a function"),
    (len, "builtin_function_or_method", "return data, not a function"),
    ([].append, "builtin_function_or_method", "return data, not a function"),
    (Foreign().__init__, "method-wrapper", "return plain data"),
    (generator(), "generator", "as a list"),
    (threading.Lock(), "_thread.lock", "return plain data"),
    (io.BytesIO(), "_io.BytesIO", "return plain data"),
    (os, "module", "return data, not a module"),
    (int, "type", "an instance of the class, or its name"),
    (Color, "enum.EnumType", "an instance of the class, or its name"),
    (list[int], "types.GenericAlias", ""),
    (object(), "object", "return plain data"),
    (memoryview(b"x"), "memoryview", "return plain data"),
    (1j, "complex", "return plain data"),
    (range(3), "range", "return plain data"),
    (iter([1]), "list_iterator", "return plain data"),
    (functools.partial(len), "functools.partial", "return plain data"),
    (Foreign(), "Foreign", "Runtime(types=[Foreign])"),
    (ForeignText("x"), "ForeignText", "convert it with str(...), or name the type in Runtime(types=[ForeignText])"),
    (ForeignNumber(1), "ForeignNumber", "convert it with int(...)"),
    (ForeignFloat(1), "ForeignFloat", "convert it with float(...)"),
    (ForeignRows(), "ForeignRows", "convert it with list(...)"),
    (ForeignMap(), "ForeignMap", "convert it with dict(...)"),
    (ForeignPair(1), "ForeignPair", "convert it with tuple(...)"),
    (ForeignColor.RED, "ForeignColor", "Runtime(types=[ForeignColor])"),
    (ForeignError("x"), "ForeignError", "Runtime(types=[ForeignError])"),
    (ExceptionGroup("g", [ForeignError()]), "ForeignError", "Runtime(types=[ForeignError])"),
    (datetime(2024, 1, 1, tzinfo=Zone()), "time zone", "use zoneinfo.ZoneInfo"),
    (defaultdict(lambda: 0), "a defaultdict", "convert it with dict(...)"),
]


@pytest.mark.parametrize(("value", "type_name", "remedy"), REFUSED, ids=kind)
def test_what_would_not_come_back_is_refused_with_its_path_and_a_remedy(value, type_name, remedy):
    with pytest.raises(NotEncodable) as caught:
        CODEC.encode({"items": [1, {"a b": (value,)}]}, what="result")
    assert caught.value.path.startswith("result.items[1]['a b'][0]")
    assert type_name in caught.value.type_name
    assert remedy in str(caught.value)
    with pytest.raises(NotEncodable, match="value"):
        CODEC.fingerprint(value)


def test_a_coroutine_is_refused_with_the_advice_to_await_it():
    coroutine = later()
    with pytest.raises(NotEncodable, match="await it"):
        CODEC.encode(coroutine)
    coroutine.close()


def test_a_class_that_keeps_its_state_in_c_is_refused_even_on_the_list():
    codec = Codec([type(threading.Lock()), io.BytesIO, functools.partial, os.stat_result, collections.ChainMap])
    for value in (threading.Lock(), io.BytesIO(), functools.partial(len), os.stat(".")):
        with pytest.raises(NotEncodable, match="return plain data"):
            codec.encode(value)
    assert back(collections.ChainMap({1: 2}), codec) == {1: 2}


def test_a_pydantic_v1_model_is_refused_even_on_the_list():
    old = type("Old", (), {"__module__": "pydantic.v1.main"})
    with pytest.raises(NotEncodable, match="version 2"):
        Codec([old]).encode(old())


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Point(lambda: 0), "value.x"),
        (Pair(1, print), "value.right"),
        (Holder(items=[Sub.model_construct(name=print)]), "value.items[0].name"),
        (Holder(items=[], more=print), "value.more"),
        (changed(Holder(items=[]), _client=print), "value._client"),
        (Many.model_construct([1, print]), "value.root[1]"),
        ({1: {None: print}}, "value[1][None]"),
        ({(1, 2): print}, "value[tuple]"),
        ({"ok": 1, (1, print): 2}, "value.keys()[1][1]"),
        ({Foreign(): 2}, "value.keys()[0]"),
        (Rows([1, print]), "value[1]"),
        (deque([print]), "value[0]"),
        (OrderedDict(a=print), "value.a"),
        ({"\ud800": print}, "value['\\ud800']"),
        ({"k" * 200: {"x y": print}}, f"value['{'k' * 40}']['x y']"),
        ({10**5000: print}, "value[int]"),
        (Slotted([print]), "value.a[0]"),
    ],
    ids=kind,
)
def test_the_path_leads_to_what_was_refused(value, path):
    with pytest.raises(NotEncodable) as caught:
        CODEC.encode(value)
    assert caught.value.path == path
    assert str(caught.value).isprintable()


def test_a_cycle_is_named_with_both_ends():
    inner: dict[str, Any] = {}
    inner["self"] = [1, Point(inner)]
    with pytest.raises(NotEncodable) as caught:
        CODEC.encode({"a": inner}, what="result")
    assert (caught.value.path, caught.value.type_name) == ("result.a.self[1].x", "cycle")
    assert "it is result.a again" in str(caught.value)


def test_every_kind_of_cycle_is_found():
    rows: Any = []
    rows.append(rows)
    pairs: Any = {1: 2}
    pairs[1] = pairs
    holder = Holder(items=[])
    holder.other = holder
    error = ValueError()
    error.args = (error,)
    queue: Any = deque()
    queue.append((queue,))
    own = Rows([1])
    own.append({"own": own})
    for value in (rows, pairs, holder, error, queue, own):
        with pytest.raises(NotEncodable, match="cycle"):
            CODEC.encode(value)


def nested(levels, wrap=lambda inner: [inner]):
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


WRAPS = [
    lambda inner: [inner],
    lambda inner: {"a": inner},
    lambda inner: {1: inner},
    lambda inner: (inner,),
    lambda inner: {"$t": inner},
    Point,
    Pair,
    lambda inner: Generic[int].model_construct(item=inner),
    lambda inner: Rows([inner]),
    lambda inner: OrderedDict(a=inner),
]


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_value_as_deep_as_allowed_comes_back_and_a_deeper_one_is_refused(wrap):
    made = back(nested(MAX_DEPTH, wrap))
    assert CODEC.encode(made) == CODEC.encode(nested(MAX_DEPTH, wrap))
    for levels in (MAX_DEPTH + 2, 5_000):
        with pytest.raises(NotEncodable, match="levels of nesting") as caught:
            CODEC.encode(nested(levels, wrap))
        assert len(caught.value.path) < 60


def test_a_caller_deep_in_its_stack_gets_a_refusal_not_a_recursion_error():
    value = nested(MAX_DEPTH)
    outcomes = set()

    def dive():
        try:
            CODEC.encode(value)
            outcomes.add("stored")
        except NotEncodable:
            outcomes.add("refused")
        dive()

    with pytest.raises(RecursionError):
        dive()
    assert outcomes == {"stored", "refused"}


def test_of_two_classes_of_one_name_the_later_counts_and_the_earlier_is_refused():
    def define(default):
        @dataclasses.dataclass
        class Local:
            x: int = default

        return Local

    first, second = define(1), define(2)
    codec = Codec([first]).with_types([second])
    assert back(second(), codec) == second()
    assert (codec.allows(first), codec.allows(second)) == (False, True)
    with pytest.raises(NotEncodable, match="later"):
        codec.encode(first())


def test_only_classes_may_be_allowed():
    with pytest.raises(TypeError, match="takes classes"):
        Codec([list[int]])


def test_with_types_is_a_union_and_leaves_the_codec_as_it_was():
    small = Codec([Point], limit=1000)
    large = small.with_types([Pair])
    assert large.limit == 1000
    assert large.decode(large.encode([Point(1), Pair(1)])) == [Point(1), Pair(1)]
    with pytest.raises(NotEncodable):
        small.encode(Pair(1))


def test_allows_says_what_encode_takes():
    for cls in (int, str, type(None), list, deque, datetime, ValueError, pathlib.PosixPath, Point):
        assert CODEC.allows(cls)
    for cls in (Foreign, complex, type, object, threading.Thread, ForeignError):
        assert not CODEC.allows(cls)


# --------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1000,
        b"x" * 800,
        ["x" * 500, "y" * 500],
        [None] * 400,
        {"k" * 1000: 1},
        {1: "x" * 1000},
        Point("x" * 1000),
        "é" * 600,
        10**5000,
    ],
    ids=kind,
)
def test_what_is_larger_than_the_limit_is_refused(value):
    codec = Codec(TYPES, limit=1000)
    with pytest.raises(PayloadTooLarge, match="the result") as caught:
        codec.encode(value, what="the result")
    assert caught.value.limit == 1000
    assert caught.value.size > 1000


def test_the_limit_is_met_to_the_byte():
    size = len(CODEC.encode("x" * 100))
    assert Codec(limit=size).encode("x" * 100)
    with pytest.raises(PayloadTooLarge):
        Codec(limit=size - 1).encode("x" * 100)


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_the_size_counted_on_the_way_is_never_more_than_the_real_one(value):
    data = CODEC.encode(value)
    assert Codec(TYPES, limit=len(data)).encode(value) == data


@pytest.mark.parametrize("leaf", ["x" * 100_000, b"x" * 100_000, [1], (1,), Pair(1), Point({1})], ids=kind)
def test_shared_references_that_stand_for_terabytes_are_refused_soon(leaf):
    value: Any = leaf
    for _ in range(40):
        value = [value, value]
    with pytest.raises(PayloadTooLarge):
        Codec(TYPES, limit=1_000_000).encode(value)


# ------------------------------------------------------------------------------------------------- decoding


def crafted(item: Any) -> bytes:
    return b'{"v":1,"d":' + json.dumps(item).encode() + b"}"


PARTS = st.sampled_from(["v", "d", "x", "p", "s", "a", "n", "b", "c", "f", "m", "z", "at", "$t"])
NAMES = st.sampled_from(
    [
        *READERS,
        *(f"{cls.__module__}:{cls.__qualname__}" for cls in TYPES),
        *("os:system", "builtins:OSError", "builtins:ExceptionGroup", "builtins:UnicodeDecodeError", "builtins:eval"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from(["nan", "x", "RED", "list", "2024-01-01T00:00:00", "PosixPath", "IPv4Address", "(", "__class__"])
    | NAMES
)
CRAFTED = st.recursive(
    LEAVES,
    lambda items: (
        st.lists(items, max_size=4)
        | st.dictionaries(PARTS | st.text(max_size=3) | st.sampled_from(["x", "id", "items", "__dict__"]), items)
        | st.builds(lambda tag, rest: rest | {"$t": tag}, NAMES, st.dictionaries(PARTS, items, max_size=4))
    ),
    max_leaves=15,
)


def only_known_errors(data: bytes) -> None:
    before = set(sys.modules)
    try:
        CODEC.decode(data)
    except (CorruptPayload, UnknownType) as error:
        message = str(error)
    else:
        message = ""
    assert message.isprintable()
    new = {name for name in set(sys.modules) - before if not name.startswith(("tzdata", "hypothesis"))}
    assert not new


@settings(max_examples=800, deadline=None)
@given(CRAFTED)
@example({"$t": "pattern", "v": "[[a", "f": 0})
@example({"$t": "pattern", "v": "(" * 500, "f": 255})
@example({"$t": "timedelta", "v": [10**30]})
@example({"$t": "decimal", "v": "1E" + "9" * 50})
@example({"$t": "deque", "v": [1], "m": 2**70})
@example({"$t": "datetime", "v": "2024-01-01", "z": "../../../etc/passwd"})
@example({"$t": "datetime", "v": "2024-01-01", "z": "os/path"})
@example({"$t": "set", "v": [[1]]})
@example({"$t": "set", "v": {"$t": "tuple", "v": []}})
@example({"$t": {"$t": "str", "v": "int", "at": []}})
@example({"$t": "builtins:ExceptionGroup", "a": ["x", "y"]})
@example({"$t": "builtins:ValueError", "a": [], "v": {"__class__": 1, "__traceback__": 2, "args": 3}})
def test_crafted_json_is_a_value_or_one_of_two_errors(item):
    only_known_errors(crafted(item))


@settings(max_examples=300, deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_arbitrary_bytes_are_corrupt(data):
    with pytest.raises(CorruptPayload):
        CODEC.decode(data)


@settings(max_examples=400, deadline=None)
@given(VALUES, st.data())
def test_damaged_bytes_are_a_value_or_one_of_two_errors(value, data):
    encoded = bytearray(CODEC.encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    only_known_errors(bytes(encoded))


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"null", b"[]", b"1", b"{}", b'{"v":1}', b'{"d":1}', b'{"v":true,"d":1}', b'{"v":"1","d":1}'),
        *(b'{"v":1,"d":NaN}', b'{"v":1,"d":-Infinity}', b'{"v":1,"d":1', b'{"v":1,"d":1}x', b"\x80\x04K\x01."),
        *('{"v":1,"d":1}'.encode("utf-16"), b'\xef\xbb\xbf{"v":1,"d":1}', b'{"v":1,"d":"\xff"}', b"[" * 100_000),
        b'{"v":1,"d":' + b"9" * 5000 + b"}",
        b'{"v":1,"d":' + b'{"$t":' * 100_000,
        b'{"v":1,"d":' + b'{"$t":"tuple","v":[' * 100_000,
    ],
    ids=kind,
)
def test_what_is_not_our_format_is_corrupt(data):
    with pytest.raises(CorruptPayload):
        CODEC.decode(data)


def test_what_is_not_bytes_is_corrupt():
    for data in (None, "text", 5, []):
        with pytest.raises(CorruptPayload):
            CODEC.decode(data)
    assert CODEC.decode(memoryview(CODEC.encode([1]))) == [1]


def test_a_newer_format_is_refused_with_a_remedy():
    with pytest.raises(CorruptPayload, match=r"format 2.*upgrade"):
        CODEC.decode(b'{"v":2,"d":1}')


@pytest.mark.parametrize(
    "name", ["os:system", "colorsys:rgb_to_hsv", "builtins:eval", "builtins:int", "x:y", ":", "a:b:c"]
)
def test_a_class_that_is_not_allowed_is_neither_imported_nor_built(name, monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    for part in ({"v": {}}, {"a": ["echo hello"]}, {"n": "x"}, {"b": 1}, {}):
        with pytest.raises(UnknownType) as caught:
            CODEC.decode(crafted([{"$t": name, **part}]))
        assert caught.value.type_name == name
    assert "colorsys" not in sys.modules


def test_an_unknown_type_is_named_and_comes_back_once_it_is_allowed():
    data = CODEC.encode({"a": [Point(1)]})
    with pytest.raises(UnknownType, match="Point"):
        Codec().decode(data)
    assert Codec([Point]).decode(data) == {"a": [Point(1)]}


def test_a_langchain_constructor_stays_data():
    value = {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "true"}}
    assert CODEC.decode(crafted(value)) == value
    assert back(value) == value


def test_no_module_of_the_codec_can_unpickle_evaluate_or_import_by_name():
    folder = pathlib.Path(__file__).parents[2] / "checkpoint"
    for file in folder.glob("codec*.py"):
        assert not re.search(
            r"\b(pickle|marshal|eval|exec|__import__|importlib|import_module)\b\s*[(.]", file.read_text()
        )


# ------------------------------------------------------------------------------------- classes that changed


def redefine(module, name, **fields):
    described = [(key, Any, default) for key, default in fields.items()]
    return dataclasses.make_dataclass(name, described, namespace={"__module__": module})


def test_a_field_that_is_new_takes_its_default():
    old = redefine("app", "State", a=1)
    new = redefine("app", "State", a=1, b=2, c=dataclasses.field(default_factory=list))
    made = Codec([new]).decode(Codec([old]).encode(old(5)))
    assert (made.a, made.b, made.c) == (5, 2, [])

    class V1(BaseModel):
        a: int

    class V2(BaseModel):
        a: int
        b: list[int] = Field(default_factory=lambda: [7])
        _p: int = PrivateAttr(default=3)

    V1.__qualname__ = V2.__qualname__
    made = Codec([V2]).decode(Codec([V1]).encode(V1(a=1)))
    assert (made.a, made.b, made._p, made.model_fields_set) == (1, [7], 3, {"a"})


@pytest.mark.parametrize("extra", ["ignore", "allow", "forbid"])
def test_a_field_that_is_gone_is_treated_by_the_models_own_rule(extra):
    class Old(BaseModel):
        a: int = 1
        gone: int = 2

    class New(BaseModel):
        model_config = ConfigDict(extra=extra)
        a: int = 1

    Old.__qualname__ = New.__qualname__
    data = Codec([Old]).encode(Old(a=3, gone=4))
    if extra == "forbid":
        with pytest.raises(CorruptPayload, match="gone"):
            Codec([New]).decode(data)
        return
    made = Codec([New]).decode(data)
    assert made == (New(a=3) if extra == "ignore" else New(a=3, gone=4))
    assert made.model_fields_set == ({"a"} if extra == "ignore" else {"a", "gone"})


def test_a_member_field_or_slot_that_is_gone_is_corrupt_and_named():
    for name, data in (
        ("Color", {"n": "GREEN"}),
        ("Pair", {"v": {"left": 1, "middle": 2}}),
        ("Pair", {"v": {"right": 1}}),
        ("Frozen", {"v": {"name": "x", "middle": 2}}),
    ):
        with pytest.raises(CorruptPayload, match=name):
            CODEC.decode(crafted({"$t": f"{__name__}:{name}", **data}))


# ---------------------------------------------------------------------------------------------- fingerprints


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}),
        ({1: "x", (2,): "y"}, {(2,): "y", 1: "x"}),
        ({"é": math.nan, "a": {"\ud800"}}, {"a": {"\ud800"}, "é": math.nan}),
        ({"b", "a"}, {"a", "b"}),
        (Counter(a=1, b=2), Counter(b=2, a=1)),
        (Holder(items=[], x=1, y=2), Holder(items=[], y=2, x=1)),
    ],
)
def test_fingerprints_do_not_depend_on_order(left, right):
    assert CODEC.fingerprint(left) == CODEC.fingerprint(right)


def test_fingerprints_tell_apart_what_is_not_the_same():
    values = [
        *(1, 1.0, True, "1", b"1", [1], (1,), {1}, {"1": 1}, {1: 1}, None, "", [], {}, 0.0, -0.0, Decimal(1)),
        *([1, 2], [2, 1], [[1], 2], OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), Level.LOW, Mode.FAST, "fast"),
        *({"$t": "tuple", "v": [1]}, Point(1), Base(), Base(id=0), Sub()),
    ]
    assert len({CODEC.fingerprint(value) for value in values}) == len(values)


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_a_value_that_came_back_has_the_same_fingerprint(value):
    assert CODEC.fingerprint(back(value)) == CODEC.fingerprint(value)
    assert CODEC.encode(back(value)) == CODEC.encode(value)


def test_bytes_and_fingerprints_are_the_same_in_every_process():
    program = (
        "import enum, sys, hashlib; from durable.checkpoint.codec.codec import Codec\n"
        "value = {'tags': {'a', 'b', 'c', ('x', 1), None, 2.5}, 'f': frozenset(map(str, range(50)))}\n"
        "print(Codec().fingerprint(value), hashlib.sha256(Codec().encode(value)).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


def test_the_format_and_the_fingerprint_do_not_drift():
    value = {"b": [1, "é"], "a": {1: (2.5, None)}, "when": datetime(2024, 1, 1, tzinfo=UTC), "p": Pair(1)}
    name = f"{__name__}:Pair"
    assert CODEC.encode(value).decode() == (
        '{"v":1,"d":{"b":[1,"é"],"a":{"$t":"dict","v":[1,{"$t":"tuple","v":[2.5,null]}]},'
        '"when":{"$t":"datetime","v":"2024-01-01T00:00:00+00:00"},'
        f'"p":{{"$t":"{name}","v":{{"left":1,"right":2}}}}}}}}'
    )
    assert CODEC.fingerprint({"b": 1, "a": 2}) == hashlib.sha256(b'{"v":1,"d":{"a":2,"b":1}}').hexdigest()


def test_many_threads_may_use_one_codec():
    value = [Point((n, {n})) for n in range(50)]
    codec = Codec(TYPES)
    failures = []

    def work():
        failures.extend(n for n in range(20) if codec.decode(codec.encode(value)) != value)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
