"""Signals come once each and in order; large payloads stand once, by content, and are missed if they are gone."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from durable.checkpoint import executions
from durable.checkpoint.inbox import signals
from durable.checkpoint.records import NewRecord, pack, unpack
from durable.checkpoint.state import blobs
from durable.errors import JournalCorrupt, LeaseLost
from tests.checkpoint.conftest import CODEC, encoded


def send(store, name="go", payload=b"1"):
    store.db.transact(lambda connection: signals.send(store.db, connection, "e", signals.NewSignal(name, payload)))


def first(store, name="go"):
    with store.db.read() as connection:
        return signals.first(connection, "e", name)


def consume(store, signal_id):
    store.do(signals.consume, signal_id, at=1.0)


class TestSignals:
    def test_the_oldest_of_a_name_that_was_not_taken_comes_first(self, store, claimed):
        assert first(store) is None
        for payload in (b"1", b"2"):
            send(store, payload=payload)
        send(store, "other", b"3")
        taken = []
        while (found := first(store)) is not None:
            taken.append(found[1])
            consume(store, found[0])
        assert taken == [b"1", b"2"]
        assert first(store, "other")[1] == b"3"

    def test_one_is_taken_once(self, store, claimed):
        send(store)
        found, _ = first(store)
        consume(store, found)
        with pytest.raises(LeaseLost):
            consume(store, found)

    def test_it_is_taken_together_with_its_record_or_not_at_all(self, store, claimed):
        send(store)
        found, payload = first(store)

        def fail(_connection):
            raise KeyError

        with pytest.raises(KeyError):
            claimed.append(
                NewRecord("signal", "signal:go#1", {}, payload),
                companions=[lambda c: signals.consume(c, found, at=1.0), fail],
            )
        assert first(store) == (found, payload)

    @pytest.mark.parametrize(
        ("name", "wakes"), [("go", True), ("g", False), ("other", False), ('go"', False), ("%", False), ('"', False)]
    )
    def test_only_one_that_is_waited_for_wakes(self, store, claimed, name, wakes):
        store.do(executions.suspend, "e", 1, wake_at=None, signals=("go", "stop%"), now=store.db.clock())
        send(store, name)
        assert store.get().status == ("pending" if wakes else "suspended")

    def test_a_name_of_any_letters_wakes_its_own(self, store, claimed):
        name = 'ü"%_\\'
        store.do(executions.suspend, "e", 1, wake_at=None, signals=(name,), now=store.db.clock())
        send(store, name)
        assert store.get().status == "pending"


class TestBlobs:
    @pytest.mark.parametrize("size", [0, 1, blobs.INLINE, blobs.INLINE + 1, 3_000_000])
    def test_bytes_of_any_size_come_back(self, store, size):
        data = b"x" * size
        stored, keep = blobs.stash(store.db, data)
        assert (keep is None) == (size <= blobs.INLINE)
        assert len(stored) == (size if keep is None else 33)
        if keep is not None:
            store.do(keep)
        assert blobs.fetch(store.db, stored) == data

    def test_the_same_content_stands_once(self, store):
        for _ in range(3):
            _, keep = blobs.stash(store.db, b"x" * 100_000)
            store.do(keep)
        with store.db.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM blobs")).scalar() == 1

    @pytest.mark.parametrize("damage", ["DELETE FROM blobs", "UPDATE blobs SET data = :other"])
    def test_one_that_is_gone_or_changed_is_found(self, store, damage):
        stored, keep = blobs.stash(store.db, b"x" * 100_000)
        store.do(keep)
        with store.db.write() as connection:
            connection.execute(text(damage), {"other": b"y" * 100_000} if ":other" in damage else {})
        with pytest.raises(JournalCorrupt, match="missing or was changed"):
            blobs.fetch(store.db, stored)

    def test_large_results_and_inputs_are_read_back_through_their_records(self, store):
        large = encoded("x" * 100_000)
        store.start(input=large)
        held = store.claim()
        stored, keep = blobs.stash(store.db, large)
        held.append(NewRecord("step_done", "s#1", {"name": "s"}, stored), companions=[keep])
        load = lambda data: CODEC.decode(blobs.fetch(store.db, data))  # noqa: E731
        with store.db.read() as connection:
            found = executions.get(connection, "default", "e", load)
        assert found.input == "x" * 100_000
        assert load(store.records()[-1].stored) == "x" * 100_000
        with store.db.read() as connection:
            assert connection.execute(text("SELECT max(length(payload)) FROM journal")).scalar() < 500


@pytest.mark.parametrize(
    ("meta", "value"),
    [({}, None), ({"a": [1, None]}, None), ({}, b""), ({"n": "\n"}, b'{"v":1}'), ({}, b"\0" + b"\n" * 32)],
)
def test_a_records_payload_is_unpacked_as_it_was_packed(meta, value):
    assert unpack(pack(NewRecord("note", None, meta, value))) == (meta, value)
