"""Values of a checkpoint: what is put comes back equal, is stored once, and only as a class that is allowed."""

from __future__ import annotations

import datetime as dt
import math
import sys
import uuid
from dataclasses import dataclass

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.types import Command, Interrupt, Overwrite, Send
from pydantic import BaseModel
from sqlalchemy import update

from durable.adapters.langgraph.state.serde import FRAMEWORK_TYPES, DurableSerializer
from durable.checkpoint import schema
from durable.errors import CorruptPayload, NotEncodable, UnknownType
from tests.adapters.langgraph_saver_world import at, checkpoint, ids, put, rows


@dataclass
class Order:
    id: int
    lines: tuple[str, ...] = ()


class Customer(BaseModel):
    name: str


VALUES = {
    "a lone surrogate": "\ud800 and more",
    "a tuple of tuples": (1, ("two", (3.0, None))),
    "bytes": b"\x00\xff",
    "an instant": dt.datetime(2025, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    "a set": {1, 2, 3},
    "keys that are no strings": {1: "one", (2, 3): "two"},
    "a uuid": uuid.UUID(int=7),
    "an empty list": [],
    "an empty tuple": (),
    "nothing": None,
    "a huge int": 10**400,
    "an infinity": math.inf,
    "text with NUL": "a\x00b",
    "messages": [
        HumanMessage("hi", id="1"),
        AIMessage("", id="2", tool_calls=[{"name": "t", "args": {"x": (1,)}, "id": "c", "type": "tool_call"}]),
        ToolMessage("done", tool_call_id="c", artifact={"raw": b"\x01"}),
        RemoveMessage("1"),
    ],
    "a document": Document("text", metadata={"k": [1, 2]}),
    "sends": [Send("node", {"a": 1}), Send("node", ("b",), timeout=3)],
    "a command": Command(goto="x", update={"a": [1]}, resume={"i": True}),
    "an interrupt": (Interrupt({"q": "?"}, id="i"),),
    "an overwrite": Overwrite([1, 2]),
    "the snapshot of a list": _DeltaSnapshot([HumanMessage("hi"), 2]),
    "the snapshot of a dict": _DeltaSnapshot({"a": 1}),
    "large text": "x" * 100_000,
    "a list of large texts": ["y" * 70_000, "z" * 70_000],
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_as_it_was_put_and_as_it_was_written(saver, name):
    value = VALUES[name]
    config = put(saver, {"channel": value})
    saver.put_writes(config, [("channel", value)], "task")
    found = saver.get_tuple(config)
    assert repr(found.checkpoint["channel_values"]["channel"]) == repr(value)
    assert found.checkpoint["channel_values"]["channel"] == value
    assert found.pending_writes == [("task", "channel", value)]
    assert repr(found.pending_writes[0][2]) == repr(value)


def test_a_checkpoint_comes_back_whole(saver):
    first = put(saver, {"a": 1, "b": ["x"]}, user="alice")
    made = checkpoint({"a": 2, "b": ["x"]}, {"a": "2", "b": "1", "gone": "5"}) | {"updated_channels": ["a"]}
    second = saver.put(first, made, {"source": "loop", "step": 2, "parents": {"": "p"}}, {"a": "2"})
    assert (
        saver.get_tuple(second)
        == saver.get_tuple(at())
        == CheckpointTuple(
            config=second,
            checkpoint=made,
            metadata={"source": "loop", "step": 2, "parents": {"": "p"}},
            parent_config=first,
            pending_writes=[],
        )
    )
    assert saver.get_tuple(first).metadata["user"] == "alice"


def test_a_checkpoint_put_again_is_replaced(saver):
    made = checkpoint({"a": 1})
    saver.put(at(), made, {"source": "input", "step": -1}, {"a": "1"})
    saver.put(at(checkpoint_id="parent"), made, {"source": "loop", "step": 3}, {"a": "1"})
    (found,) = saver.list(at())
    assert (found.metadata["step"], found.parent_config["configurable"]["checkpoint_id"]) == (3, "parent")


def test_an_unchanged_channel_costs_nothing(saver, saver_runtime):
    large = {"large": "x" * 10_000}
    config = put(saver, large)
    before = rows(saver_runtime)
    for _ in range(3):
        config = saver.put(config, checkpoint(large), {"source": "loop", "step": 1}, {})
    after = rows(saver_runtime)
    assert {name: len(after[name]) - len(before[name]) for name in before} == {
        "snapshots": 3,
        "snapshot_values": 0,
        "snapshot_writes": 0,
        "snapshot_pieces": 0,
    }
    assert saver.get_tuple(config).checkpoint["channel_values"] == large


def test_a_large_value_is_stored_once_for_the_write_and_the_channel(saver, saver_runtime):
    config = put(saver, {})
    saver.put_writes(config, [("answer", "x" * 10_000)], "task")
    put(saver, {"answer": "x" * 10_000}, config)
    assert len(rows(saver_runtime)["snapshot_pieces"]) == 1


def test_versions_grow_as_strings_and_differ_between_branches(saver):
    versions = [None]
    for _ in range(1200):
        versions.append(saver.get_next_version(versions[-1], None))
    assert sorted(versions[1:]) == versions[1:]
    assert saver.get_next_version(versions[5], None) != versions[6]
    other = "00000000000000000000000000000009.0.123"
    assert saver.get_next_version(other, None) > other
    assert saver.get_next_version(3, None).startswith("000000000004.")


def test_a_class_that_is_not_allowed_is_named_with_its_channel_and_place(saver):
    with pytest.raises(NotEncodable, match=r"channel 'messages'\[2\].*Customer.*Runtime\(types="):
        put(saver, {"messages": ["a", "b", Customer(name="x")]})
    with pytest.raises(NotEncodable, match="channel 'order'"):
        put(saver, {"order": Order(1)})
    config = put(saver, {})
    with pytest.raises(NotEncodable, match="channel 'answer'"):
        saver.put_writes(config, [("answer", {"f": print})], "task")
    assert ids(saver.list(at())) == [config["configurable"]["checkpoint_id"]]


def test_an_allow_list_adds_loaded_classes_and_shares_the_state(saver):
    mine = [(__name__, "Order"), (__name__, "Customer"), ("not.loaded", "Thing"), (__name__, "missing")]
    allowed = saver.with_allowlist(mine)
    value = {"order": Order(1, ("a",)), "customers": [Customer(name="x"), Customer(name="y")]}
    config = put(allowed, value)
    assert allowed.get_tuple(config).checkpoint["channel_values"] == value
    saver.wait_durable(config["configurable"]["checkpoint_id"], "", 0.1)
    with pytest.raises(UnknownType, match=r"Order|Customer"):
        saver.get_tuple(config)
    assert "not.loaded" not in sys.modules
    assert saver.with_allowlist([("langgraph.types", "Send")]) is saver
    with pytest.raises(NotEncodable):
        put(saver, value)


def test_a_stored_class_that_is_not_allowed_is_not_imported(saver, saver_runtime):
    config = put(saver, {"channel": {"a": "x" * 100}})
    forged = b'v{"v":1,"d":{"$t":"antigravity:Fly","v":{}}}'
    with saver_runtime.database.write() as connection:
        connection.execute(update(schema.snapshot_values).values(cell=forged))
    with pytest.raises(UnknownType, match="antigravity"):
        saver.get_tuple(config)
    assert "antigravity" not in sys.modules


def test_a_piece_that_is_gone_is_an_error_and_not_an_empty_channel(saver, saver_runtime):
    config = put(saver, {"list": ["x" * 400] * 9, "big": "y" * 9000})
    with saver_runtime.database.write() as connection:
        connection.execute(schema.snapshot_pieces.delete())
    with pytest.raises(CorruptPayload, match="missing"):
        saver.get_tuple(config)


def test_the_serializer_reads_its_own_format_only(saver):
    serializer = saver.serde
    assert serializer.loads_typed(serializer.dumps_typed((1, {"a"}))) == (1, {"a"})
    for foreign in [("msgpack", b"\x01"), ("json", b"1"), ("pickle", b"."), ("durable", b"\x80\x04.")]:
        with pytest.raises(CorruptPayload):
            serializer.loads_typed(foreign)


def test_every_framework_type_is_on_the_allow_list(saver_runtime):
    codec = DurableSerializer(saver_runtime.codec.with_types(FRAMEWORK_TYPES)).codec
    assert all(codec.allows(cls) for cls in FRAMEWORK_TYPES)
    assert not codec.allows(Order)
