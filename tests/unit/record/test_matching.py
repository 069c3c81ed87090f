"""Branches that come by in another order wait for their turn; what nobody takes is drift."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from durable.checkpoint.records import Record
from durable.errors import Suspended
from durable.record import matching
from durable.record.matching import Matching
from durable.record.replay import Replay
from tests.world import until


def done(seq, key, arguments_hash):
    meta = {"name": "s", "arguments_hash": arguments_hash}
    return Record("e", seq, 1, "step_done", key, 1.0, meta, None, b"", lambda data: data)


@pytest.fixture
def traffic():
    made = Replay()
    made.fold([done(1, "s#1", "a"), done(2, "s#2", "b")])
    return Matching(made, threading.RLock())


class Late(threading.Thread):
    """A call that fits nothing yet, in a thread of its own."""

    def __init__(self, traffic, arguments_hash, inside=()):
        super().__init__()
        self.traffic, self.arguments_hash, self.inside = traffic, arguments_hash, inside
        self.found = None
        self.start()
        until(lambda: traffic._late or self.found)

    def run(self):
        try:
            with self.traffic.working():
                outcome, fits = self.traffic.match_after_branches("s", self.arguments_hash, self.inside)
                self.found = (outcome.key, fits)
        except BaseException as exc:
            self.found = exc

    def result(self):
        self.join(20)
        return self.found


def test_what_fits_is_taken_at_once(traffic):
    assert traffic.match("s", "b").key == "s#2"
    assert traffic.match("s", "a").key == "s#1"
    assert traffic.match("s", "new").key == "s#3"


def test_while_records_are_left_what_fits_none_is_not_clear(traffic):
    assert traffic.match("s", "new") is None


def test_it_becomes_a_new_one_when_the_others_have_come_by(traffic):
    with traffic.working():
        late = Late(traffic, "new")
        traffic.match("s", "b")
        traffic.match("s", "a")
        assert late.result() == ("s#3", True)


def test_it_is_drift_when_nobody_else_is_on_its_way(traffic):
    assert Late(traffic, "new").result() == ("s#1", False)


def test_steps_around_it_are_not_waited_for(traffic):
    with traffic.working():
        assert Late(traffic, "new", inside=("outer#1",)).result() == ("s#1", False)


def test_those_that_wait_get_their_numbers_in_the_order_of_their_calls(traffic):
    with traffic.working():
        late = []
        for n in range(5):
            late.append(Late(traffic, f"new{n}"))
            until(lambda n=n: len(traffic._late) == n + 1)
        traffic.match("s", "a")
        traffic.match("s", "b")
        assert [one.result() for one in late] == [(f"s#{n}", True) for n in range(3, 8)]


def test_a_new_call_does_not_overtake_those_that_wait(traffic):
    traffic._late.append(matching._Late("s", ()))
    for arguments_hash in "ab":
        traffic.match("s", arguments_hash)
    assert traffic.match("s", "one more") is None


def test_the_end_of_the_segment_ends_the_wait(traffic):
    with traffic.working():
        late = Late(traffic, "new")
        traffic.closed = True
        assert isinstance(late.result(), Suspended)


def test_after_its_end_no_step_starts(traffic):
    assert traffic.drain(0)
    with pytest.raises(Suspended), traffic.working():
        pass


def test_a_drain_waits_for_what_is_on_its_way(traffic):
    begun, go_on = threading.Event(), threading.Event()

    def work():
        with traffic.working():
            begun.set()
            go_on.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(20)
    assert traffic.drain(0.05) is False
    go_on.set()
    assert traffic.drain(20) is True
    thread.join()


def test_an_event_loop_is_never_made_to_wait(traffic):
    async def main():
        with traffic.working(), traffic.working():
            began = time.monotonic()
            assert traffic.match_after_branches("s", "new", ())[1] is False
            assert time.monotonic() - began < matching.GRACE

    asyncio.run(main())


def test_too_many_that_wait_do_not_take_all_the_threads(traffic, monkeypatch):
    monkeypatch.setattr(matching, "MOST", 2)
    with traffic.working():
        late = [Late(traffic, f"new{n}") for n in range(3)]
        assert until(lambda: [one.found for one in late if one.found])[0] == ("s#1", False)
        traffic.closed = True
        for one in late:
            one.join(20)
