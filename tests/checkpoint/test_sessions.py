"""Sessions: ordered by their own count, appended once, refused to stale owners, in one transaction with the journal."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import func, select

from durable.checkpoint import schema
from durable.checkpoint.records import NewRecord
from durable.checkpoint.state import sessions
from durable.checkpoint.state.sessions import NewItem, SessionPlace
from durable.errors import ItemConflict, LeaseLost, SessionChanged, SessionExists, SessionNotFound

HERE = SessionPlace("default", "app", "ann", "s")


def said(*words, **options):
    return [NewItem(word.encode(), **options) for word in words]


def append(store, *words, place=HERE, **options):
    items = options.pop("items", None) or said(*words)
    return store.db.transact(
        lambda connection: sessions.append(
            store.db, connection, place, items, make=options.pop("make", True), **options
        )
    )


def words(store, place=HERE, **options):
    with store.db.read() as connection:
        session = sessions.get(connection, place)
        return [] if session is None else [item.body.decode() for item in sessions.read(connection, session, **options)]


def found(store, place=HERE):
    with store.db.read() as connection:
        return sessions.get(connection, place)


def do(store, change, *args, **options):
    return store.db.transact(lambda connection: change(connection, *args, **options))


def test_items_come_back_in_the_order_in_which_they_were_stored(store):
    append(store, "a", "b")
    session = append(store, "c")
    assert (words(store), session.revision) == (["a", "b", "c"], 3)
    assert words(store, last=2) == ["b", "c"]
    assert words(store, last=0) == []


def test_order_does_not_depend_on_anybodys_clock(store):
    for at in (100.0, 50.0, 75.0):
        append(store, items=said(f"at {at}", at=at), at=at)
    assert words(store) == ["at 100.0", "at 50.0", "at 75.0"]
    assert words(store, after=75.0) == ["at 100.0", "at 75.0"]
    assert found(store).updated_at == 75.0


def test_an_item_that_is_appended_again_changes_nothing(store):
    first = append(store, items=[NewItem(b"a", "1"), NewItem(b"b", "2")])
    again = append(store, items=[NewItem(b"b", "2"), NewItem(b"a", "1")])
    assert (words(store), again) == (["a", "b"], first)
    append(store, items=[NewItem(b"a", "1"), NewItem(b"c", "3"), NewItem(b"c", "3")])
    assert words(store) == ["a", "b", "c"]


def test_a_known_id_with_another_content_is_refused_and_nothing_is_written(store):
    append(store, items=[NewItem(b"a", "1")])
    with pytest.raises(ItemConflict, match="'1'"):
        append(store, items=[NewItem(b"new", "2"), NewItem(b"other", "1")])
    assert words(store) == ["a"]


def test_items_without_an_id_may_be_equal(store):
    append(store, "a", "a")
    append(store, "a")
    assert words(store) == ["a", "a", "a"]


def test_a_stale_owner_is_refused_and_nothing_is_written(store):
    read_at = append(store, "a").revision
    append(store, "b", expect=read_at)
    with pytest.raises(SessionChanged, match="at revision 2, it was read at 1"):
        append(store, "c", expect=read_at)
    with pytest.raises(SessionChanged):
        do(store, partial(sessions.withdraw, store.db), HERE, expect=read_at)
    assert words(store) == ["a", "b"]


def test_what_is_there_already_may_be_appended_by_a_stale_owner(store):
    session = append(store, items=[NewItem(b"a", "1")])
    append(store, "b")
    append(store, items=[NewItem(b"a", "1")], expect=session.revision - 1)
    assert words(store) == ["a", "b"]


def test_a_session_is_made_once(store):
    create = partial(sessions.create, store.db)
    assert do(store, create, HERE).revision == 0
    with pytest.raises(SessionExists, match="'s'"):
        do(store, create, HERE)
    with pytest.raises(SessionNotFound, match="'missing'"):
        append(store, "a", place=SessionPlace("default", "app", "ann", "missing"), make=False)


def test_sessions_are_found_by_app_and_user_the_last_written_last(store):
    for user, name, at in (("bob", "1", 3.0), ("ann", "2", 1.0), ("ann", "3", 2.0)):
        append(store, "x", place=SessionPlace("default", "app", user, name), at=at)
    append(store, "x", place=SessionPlace("default", "other", "ann", "4"))
    append(store, "x", place=SessionPlace("elsewhere", "app", "ann", "5"))
    with store.db.read() as connection:
        assert [each.place.id for each in sessions.find(connection, "default", "app")] == ["2", "3", "1"]
        assert [each.place.id for each in sessions.find(connection, "default", "app", user="ann")] == ["2", "3"]


def test_the_last_item_is_taken_back_and_what_was_read_before_can_be_read_again(store):
    before = append(store, "a", "b")
    popped = do(store, partial(sessions.pop, store.db), HERE)
    append(store, "c")
    assert (popped.body, words(store)) == (b"b", ["a", "c"])
    assert words(store, revision=before.revision) == ["a", "b"]
    assert words(store, revision=before.revision, last=1) == ["b"]
    do(store, sessions.purge, HERE)
    assert (words(store), words(store, revision=before.revision)) == (["a", "c"], ["a"])


def test_nothing_is_taken_back_from_an_empty_session(store):
    pop = partial(sessions.pop, store.db)
    assert do(store, pop, HERE) is None
    append(store, "a")
    assert do(store, pop, HERE).body == b"a"
    assert do(store, pop, HERE) is None


def test_an_id_that_was_taken_back_may_come_again(store):
    append(store, items=[NewItem(b"a", "1")])
    do(store, partial(sessions.withdraw, store.db), HERE)
    append(store, items=[NewItem(b"other", "1")])
    assert words(store) == ["other"]


def test_the_end_of_a_session_is_taken_back(store):
    append(store, "a", "b", "c")
    do(store, partial(sessions.withdraw, store.db), HERE, since=2)
    assert words(store) == ["a"]
    assert do(store, partial(sessions.withdraw, store.db), SessionPlace("default", "", "", "missing")) is None


def test_a_deleted_session_leaves_no_items_and_no_state_of_its_own(store):
    append(store, "a", "b")
    keep = sessions.keep_state
    do(store, keep, "default", ("app", "ann", "s"), {"k": b"1"})
    do(store, keep, "default", ("app", "ann"), {"k": b"2"})
    do(store, sessions.drop, HERE)
    with store.db.read() as connection:
        assert connection.execute(select(func.count()).select_from(schema.session_items)).scalar() == 0
        scopes = (("app", "ann", "s"), ("app", "ann"))
        assert sessions.state(connection, "default", *scopes) == [{}, {"k": b"2"}]
    append(store, "new")
    assert words(store) == ["new"]


def test_state_is_kept_by_scope_and_key(store):
    keep = sessions.keep_state
    do(store, keep, "default", ("app",), {"a": b"1", "b": b"1"})
    do(store, keep, "default", ("app",), {"b": b"2", "c": b"2"})
    do(store, keep, "default", ("app", "ann"), {"a": b"3"})
    do(store, keep, "elsewhere", ("app",), {"a": b"4"})
    with store.db.read() as connection:
        kept = sessions.state(connection, "default", ("app", "ann"), ("app",), ("none",))
    assert kept == [{"a": b"3"}, {"a": b"1", "b": b"2", "c": b"2"}, {}]


def test_scopes_of_names_that_look_alike_are_two(store):
    keep = sessions.keep_state
    do(store, keep, "default", ('a", "b',), {"k": b"1"})
    with store.db.read() as connection:
        assert sessions.state(connection, "default", ("a", "b"), ('a", "b',)) == [{}, {"k": b"1"}]


def test_many_at_once_append_all_and_none_twice_and_each_in_its_own_order(store):
    def write(name):
        for number in range(20):
            append(store, items=[NewItem(f"{name}-{number:02}".encode(), f"{name}-{number}")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, "abcdefgh"))
    kept = words(store)
    assert sorted(kept) == [f"{name}-{number:02}" for name in "abcdefgh" for number in range(20)]
    assert all(
        [word for word in kept if word[0] == name] == sorted(w for w in kept if w[0] == name) for name in "abcdefgh"
    )
    assert found(store).revision == 160


def test_of_many_that_expect_the_same_revision_one_writes(store):
    read_at, gate, outcomes = append(store, "a").revision, threading.Barrier(6), []

    def write(number):
        gate.wait()
        try:
            append(store, f"by {number}", expect=read_at)
            outcomes.append("written")
        except SessionChanged:
            outcomes.append("refused")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert sorted(outcomes) == ["refused"] * 5 + ["written"]
    assert len(words(store)) == 2


def companion(store, *words):
    return partial(sessions.append, store.db, place=HERE, items=said(*words), make=True)


def test_items_commit_with_the_record_of_the_journal(store, claimed):
    claimed.append(NewRecord("note", None, {"event": "said"}), companions=[companion(store, "a")])
    assert (words(store), store.records()[-1].meta) == (["a"], {"event": "said"})


def test_a_record_whose_items_are_refused_is_not_written(store, claimed):
    append(store, "a")
    stale = partial(sessions.append, store.db, place=HERE, items=said("b"), expect=0)
    head = claimed.head
    with pytest.raises(SessionChanged):
        claimed.append(NewRecord("note", None, {}), companions=[stale])
    assert (words(store), claimed.head) == (["a"], head)
    claimed.append(NewRecord("note", None, {"event": "after"}))
    assert store.records()[-1].meta == {"event": "after"}


def test_an_owner_that_has_lost_its_claim_writes_no_items(store, claimed):
    store.claim(dead=("me",))
    with pytest.raises(LeaseLost):
        claimed.append(NewRecord("note", None, {}), companions=[companion(store, "zombie")])
    assert words(store) == []


def test_five_thousand_items_are_read_in_order(store):
    for start in range(0, 5000, 500):
        append(store, items=[NewItem(f"{n}".encode(), f"id-{n}") for n in range(start, start + 500)])
    assert words(store) == [str(n) for n in range(5000)]
    assert words(store, last=3) == ["4997", "4998", "4999"]
