"""Ids, keys and owners: checked, made, and told apart."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.declare.ids import checked, new_id, text
from durable.errors import InvalidId, NotEncodable
from durable.live.owner import born, is_dead, machine, owner_name
from durable.record.keys import interrupt_id, key_for


@pytest.mark.parametrize("value", ["a", "x" * 255, "ü", "../etc", "a b", "'; DROP TABLE", "a\u2028b", "🙂" * 200])
def test_ordinary_ids_are_taken_as_they_are(value):
    assert checked(value, "the id") == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "non-empty"),
        (" \t ", "non-empty"),
        (None, "non-empty"),
        (7, "non-empty"),
        (b"a", "non-empty"),
        ("x" * 256, "256 characters"),
        ("x" * 10_240, "10240 characters"),
        ("a\nb", "control"),
        ("a\x00", "control"),
        ("a\x7f", "control"),
        ("a\x85", "control"),
        ("\ud800", "surrogates"),
    ],
)
def test_others_are_refused_with_what_is_wrong(value, said):
    with pytest.raises(InvalidId, match=said) as caught:
        checked(value, "the id")
    assert len(str(caught.value)) < 400


@given(st.text())
def test_any_text_is_either_an_id_that_every_database_can_hold_or_refused(value):
    try:
        checked(value, "the id")
    except InvalidId:
        return
    assert "\0" not in value
    value.encode()


@given(st.text())
def test_any_text_for_people_is_kept_unless_a_database_cannot(value):
    try:
        text(value, "the comment")
    except NotEncodable:
        assert "\0" in value or not value.isprintable()
        return
    value.encode()


def test_new_ids_are_all_different_and_sorted_by_time():
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert made == sorted(made)


def test_an_idempotency_key_is_the_same_for_the_same_step_and_for_no_other():
    places = [
        ("default", "e", "s#1", "s"),
        ("other", "e", "s#1", "s"),
        ("default", "f", "s#1", "s"),
        ("default", "e", "s#2", "s"),
        ("default", "e", "s#1", "t"),
        ("default", "e", "s", "#1s"),
        ("defaulte", "", "s#1", "s"),
    ]
    keys = [key_for(*place) for place in places]
    assert keys == [key_for(*place) for place in places]
    assert len(set(keys)) == len(places)
    assert all(len(key) <= 64 and key.isalnum() and key.isascii() for key in keys)


def test_an_interrupts_id_is_made_of_its_place():
    ids = {interrupt_id("e", key, kind, n) for key in ("a", "b") for kind in ("approval", "drift") for n in (1, 2)}
    assert len(ids) == 8
    assert interrupt_id("e", "a", "drift", 1) in ids


class TestOwners:
    def test_a_name_is_used_once(self):
        assert owner_name() != owner_name()
        assert len(owner_name()) <= 255

    def test_this_process_is_alive(self):
        assert is_dead(owner_name()) is False

    def test_a_process_of_this_machine_that_has_ended_is_dead(self):
        code = "from durable.live.owner import owner_name; print(owner_name())"
        name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        assert is_dead(name) is True

    def test_one_that_has_ended_and_was_not_collected_is_dead(self):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        try:
            assert is_dead(f"host:{child}:{born(child)}:{machine()}:x") is True
        finally:
            os.waitpid(child, 0)

    def test_a_later_process_of_the_same_number_is_another_one(self):
        pid = os.getpid()
        assert is_dead(f"host:{pid}:{born(pid)}:{machine()}:x") is False
        assert is_dead(f"host:{pid}:1:{machine()}:x") is True

    @pytest.mark.parametrize("name", ["host:1:1:elsewhere:x", "someone", "a:b:c", "", "host:4194304:1:other:x"])
    def test_of_what_cannot_be_known_only_the_lease_tells(self, name):
        assert is_dead(name) is False
