"""A journal folded into what it says of each step."""

from __future__ import annotations

import time

import pytest

from durable.checkpoint.records import Record
from durable.record.replay import Replay

ALWAYS = {
    "claimed": {"owner": "host:1"},
    "failed": {"error": {"type": "ValueError", "message": "no"}, "status": "failed"},
    "cancelled": {"reason": "enough"},
    "interrupt_closed": {"interrupt": "i"},
    "suspended": {"interrupts": [], "signals": [], "until": None},
    "abandoned": {"interrupts": [], "signals": [], "until": None},
}
"""What every record of these kinds, and every note of these events, has."""


def record(seq, kind, step_key=None, *, epoch=1, **meta):
    always = ALWAYS.get(meta.get("event", kind), {})
    return Record("e", seq, epoch, kind, step_key, float(seq), {**always, **meta}, None, b"", lambda data: data)


def done(seq, key, arguments_hash="h"):
    return record(seq, "step_done", key, name=key.rpartition("#")[0] or key, arguments_hash=arguments_hash)


def replay(*records):
    made = Replay()
    made.fold(records)
    return made


def take(made, prefix, arguments_hash="h"):
    found = made.fitting(prefix, arguments_hash)
    if found is not None:
        found.taken = True
    return found


@pytest.mark.parametrize(
    ("records", "progress", "attempts"),
    [
        ([], "new", 0),
        ([("step_started", {"attempt": 1})], "started", 1),
        ([("step_started", {"attempt": 1}), ("step_done", {"attempt": 1})], "done", 1),
        ([("step_started", {"attempt": 1}), ("step_failed", {"attempt": 1})], "failed", 1),
        ([("step_retry", {"attempt": 1, "not_before": 5.0})], "retry", 1),
        ([("step_retry", {"attempt": 1, "not_before": 5.0}), ("step_started", {"attempt": 2})], "started", 2),
        ([("timer", {"due_at": 9.0})], "started", 0),
        ([("signal", {})], "done", 0),
        ([("interrupt_opened", {"interrupt": "i"})], "new", 0),
        ([("interrupt_opened", {"interrupt": "i"}), ("interrupt_closed", {"decision": "approve"})], "new", 0),
    ],
)
def test_a_step_is_what_its_last_record_says(records, progress, attempts):
    made = replay(*(record(seq, kind, "s#1", **meta) for seq, (kind, meta) in enumerate(records, 1)))
    outcome = made.at("s#1")
    assert (outcome.progress, outcome.attempts) == (progress, attempts)


def test_an_interrupt_is_open_until_it_is_closed_and_each_has_its_ordinal():
    opened = [record(n, "interrupt_opened", "s#1", interrupt=f"i{n}") for n in (1, 3)]
    closed = record(2, "interrupt_closed", "s#1", decision="edit")
    outcome = replay(opened[0], closed, opened[1]).at("s#1")
    assert (outcome.interrupt, outcome.interrupts, outcome.edited) == ("i3", 2, closed)


def test_the_first_record_that_fits_is_taken_and_none_twice():
    made = replay(done(1, "s#1", "a"), done(2, "s#2", "b"), done(3, "s#3", "a"))
    assert [take(made, "s", h).key for h in ("b", "a", "a")] == ["s#2", "s#1", "s#3"]
    assert take(made, "s", "a") is None
    assert made.left("s") is None
    assert made.new("s").key == "s#4"


def test_records_are_taken_by_their_numbers_and_not_by_the_order_they_were_made_in():
    made = replay(done(1, "s#2"), done(2, "s#10"), done(3, "s#1"))
    assert [take(made, "s").key for _ in range(3)] == ["s#1", "s#2", "s#10"]


def test_what_fits_nothing_while_records_are_left_finds_the_first_of_them():
    made = replay(done(1, "s#1", "a"), done(2, "s#2", "b"))
    assert take(made, "s", "c") is None
    assert made.left("s").key == "s#1"
    take(made, "s", "a")
    assert made.left("s").key == "s#2"


def test_a_number_of_which_nothing_was_recorded_is_given_out_again():
    made = replay(done(1, "s#2", "b"), done(2, "s#4", "d"))
    keys = []
    for _ in range(4):
        outcome = made.new("s")
        outcome.taken = True
        keys.append(outcome.key)
    assert keys == ["s#1", "s#3", "s#5", "s#6"]


def test_keys_with_a_hash_sign_of_their_own_are_no_numbers():
    made = replay(done(1, "call#abc"), done(2, "call#"), done(3, "call#-1"))
    assert made.left("call") is None
    assert made.new("call").key == "call#1"


def test_scopes_are_entered_again_and_others_are_not():
    made = replay(done(1, "node/s#1"), done(2, "node2/s#1"), done(3, "s#1"))
    for prefix in ("node/s", "node2/s", "s"):
        take(made, prefix)
    made.rewind("node")
    assert take(made, "node/s").key == "node/s#1"
    assert take(made, "node2/s") is None
    assert take(made, "s") is None


def test_an_accepted_difference_fits_every_call():
    closed = record(2, "interrupt_closed", "s#1", decision="approve", accepted=True)
    made = replay(done(1, "s#1", "a"), closed)
    assert take(made, "s", "other").key == "s#1"


@pytest.mark.parametrize(
    ("events", "crashed_at"),
    [
        ([("claimed", {}), ("note", {})], None),
        ([("claimed", {}), ("note", {}), ("claimed", {})], 2.0),
        ([("claimed", {}), ("note", {"event": "suspended"}), ("claimed", {})], None),
        ([("claimed", {}), ("note", {"event": "released"}), ("claimed", {})], None),
        ([("claimed", {}), ("note", {"event": "interrupted"}), ("claimed", {})], 2.0),
        ([("claimed", {}), ("claimed", {}), ("claimed", {})], 0.0),
        ([("claimed", {}), ("note", {}), ("claimed", {}), ("note", {}), ("claimed", {})], 2.0),
        ([("claimed", {}), ("failed", {}), ("claimed", {})], None),
    ],
)
def test_a_crash_is_a_claim_after_one_that_did_not_let_go(events, crashed_at):
    made = replay(*(record(seq, kind, **meta) for seq, (kind, meta) in enumerate(events, 1)))
    assert made.crashed_at == crashed_at


def failed(seq, key):
    return record(seq, "step_failed", key, name="s", attempt=3)


def test_a_retry_renews_the_step_that_failed_and_those_it_failed_in():
    end = record(9, "failed", step="a#1/b#1")
    made = replay(failed(1, "a#1/b#1"), failed(2, "a#1"), failed(3, "c#1"), failed(4, "a#1/d#1"), end)
    assert {key: outcome.progress for key, outcome in made.steps.items()} == {
        "a#1/b#1": "new",
        "a#1": "new",
        "c#1": "failed",
        "a#1/d#1": "failed",
    }
    assert made.at("a#1").attempts == 0


def test_a_retry_never_renews_a_step_that_was_done():
    made = replay(done(1, "s#1"), record(2, "failed", step="s#1"))
    assert made.at("s#1").progress == "done"


def test_a_failed_scope_runs_what_may_be_repeated_again_and_nothing_else():
    records = [
        record(n, "step_failed", f"node/{effect}#1", name=effect, effect=effect)
        for n, effect in enumerate(("read", "idempotent", "once", "transactional"), 1)
    ]
    made = replay(*records, record(5, "step_failed", "other/read#1", name="read", effect="read"))
    made.forget_failures("node")
    assert {key: outcome.progress for key, outcome in made.steps.items()} == {
        "node/read#1": "new",
        "node/idempotent#1": "new",
        "node/once#1": "failed",
        "node/transactional#1": "failed",
        "other/read#1": "failed",
    }


def test_five_thousand_steps_of_one_name_are_replayed_in_a_moment():
    made = replay(*(done(n, f"s#{n}", f"h{n}") for n in range(1, 5001)))
    began = time.perf_counter()
    for n in range(1, 5001):
        assert take(made, "s", f"h{n}").number == n
    assert time.perf_counter() - began < 1.0


BEGUN = record(1, "step_started", "node:1/tool:2", name="pay", effect="once")


def test_a_call_that_began_must_be_reached():
    assert replay(BEGUN).not_reached(()).key == "node:1/tool:2"


def test_what_is_inside_of_a_scope_that_was_replayed_whole_does_not_come_by():
    assert replay(BEGUN, done(2, "node:1")).not_reached(()) is None


def test_a_call_that_came_by_was_reached():
    made = replay(BEGUN)
    made.at("node:1/tool:2").taken = True
    assert made.not_reached(()) is None


@pytest.mark.parametrize("effect", ["read", None])
def test_what_changes_nothing_need_not_be_reached(effect):
    assert replay(record(1, "step_started", "tool:2", name="look", effect=effect)).not_reached(()) is None


def test_a_call_that_was_decided_about_must_be_reached():
    made = replay(record(1, "interrupt_opened", "tool:2", name="pay", effect="once", interrupt="i"))
    assert made.not_reached(()) is None
    assert made.not_reached(("i",)).key == "tool:2"


def test_where_a_checkpoint_says_how_far_it_came_what_is_done_need_not_be_reached():
    paid = record(1, "step_done", "pay#1", name="pay", arguments_hash="h", effect="once")
    assert replay(paid).not_reached(()).key == "pay#1"
    assert replay(paid, record(2, "checkpoint")).not_reached(()) is None
