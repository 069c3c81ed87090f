"""The journal: append-only, contiguous, fenced by its primary key, shared commits, a chain that shows every edit."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import event, insert, text, update

from durable.checkpoint import schema
from durable.checkpoint.journal import journal
from durable.checkpoint.records import NewRecord
from durable.errors import DatabaseUnavailable, JournalCorrupt, LeaseLost, StorageError
from tests.world import until

NOTE = NewRecord("note", None, {"a": 1})


def in_threads(*calls):
    """Run the calls side by side and return what they returned or raised."""
    found = [None] * len(calls)

    def run(place, call):
        try:
            found[place] = call()
        except BaseException as exc:
            found[place] = exc

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


class Gate:
    """Holds the next commit of a database until so many entries wait behind it, then counts the commits."""

    def __init__(self, store, waiting):
        self.store, self.waiting = store, waiting
        self.commits = 0
        self.held = threading.Event()
        event.listen(store.db.engine, "commit", self.commit)

    def commit(self, _connection):
        self.commits += 1
        if self.commits == 1:
            self.held.set()
            until(lambda: len(self.store.writer._waiting) >= self.waiting)


def group(store, first, *others):
    """Append ``first``, and while its commit is on its way all the ``others``; returns (commits, outcomes)."""
    gate = Gate(store, len(others))

    def later(call):
        def run():
            gate.held.wait(20)
            return call()

        return run

    found = in_threads(first, *(later(call) for call in others))
    return gate.commits, found


class TestAppend:
    def test_records_follow_one_another_without_a_gap(self, store, claimed):
        for n in range(3):
            claimed.append(NewRecord("note", f"step-{n}", {"n": n}))
        claimed.append(NOTE, NOTE)
        records = store.records()
        assert [record.seq for record in records] == list(range(1, 8))
        assert [record.kind for record in records[:2]] == ["started", "claimed"]
        assert [record.epoch for record in records] == [0, 1, 1, 1, 1, 1, 1]
        assert store.verify() == (7, records[-1].digest) == claimed.head

    def test_what_append_returns_is_what_is_read_back(self, store, claimed):
        value = b'{"v":1,"d":[1,2]}'
        (returned,) = claimed.append(NewRecord("step_done", "s#1", {"name": "s", "n": None}, value))
        assert returned == store.records()[-1]
        assert returned.value() == [1, 2]
        assert returned.payload == {"name": "s", "n": None, "value": [1, 2]}

    def test_a_record_of_no_kind_is_refused_and_nothing_is_written(self, store, claimed):
        with pytest.raises(ValueError, match="kind"):
            claimed.append(NewRecord("made_up"))
        assert len(store.records()) == 2
        claimed.append(NOTE)

    def test_a_companion_commits_with_its_record_or_neither_does(self, store, claimed):
        def fail(_connection):
            raise KeyError("companion")

        def write(connection):
            connection.execute(insert(schema.blobs), {"digest": "d", "data": b"x", "created_at": 1.0})

        with pytest.raises(KeyError):
            claimed.append(NOTE, companions=[write, fail])
        assert len(store.records()) == 2
        claimed.append(NOTE, companions=[write])
        assert len(store.records()) == 3
        with store.db.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM blobs")).scalar() == 1

    def test_a_broken_constraint_of_a_companion_is_not_taken_for_a_lost_lease(self, store, claimed):
        def twice(connection):
            for _ in range(2):
                connection.execute(insert(schema.blobs), {"digest": "d", "data": b"x", "created_at": 1.0})

        with pytest.raises(Exception) as caught:
            claimed.append(NOTE, companions=[twice])
        assert not isinstance(caught.value, LeaseLost)
        assert claimed.lost is False
        claimed.append(NOTE)

    def test_records_made_inside_the_transaction(self, store, claimed):
        def change(connection):
            connection.execute(insert(schema.blobs), {"digest": "d", "data": b"x", "created_at": 1.0})
            return [NOTE, NOTE]

        assert [record.seq for record in claimed.transact(change)] == [3, 4]
        with pytest.raises(ZeroDivisionError):
            claimed.transact(lambda _: 1 / 0)
        claimed.append(NOTE)
        assert store.verify()[0] == 5


class TestFence:
    def test_a_stale_owner_gets_lease_lost_and_writes_nothing(self, store, claimed):
        claimed.append(NOTE)
        other = store.process()
        newer = other.claim(owner="other", dead=["me"])
        before = store.records()
        for _ in range(2):
            with pytest.raises(LeaseLost, match="'e'.*epoch 1"):
                claimed.append(NOTE)
        with pytest.raises(LeaseLost):
            claimed.transact(lambda _: [NOTE])
        assert store.records() == before
        assert claimed.lost
        newer.append(NOTE)
        assert store.verify()[0] == 5

    def test_companions_of_a_stale_owner_are_not_written_either(self, store, claimed):
        store.process().claim(owner="other", dead=["me"])

        def write(connection):
            connection.execute(insert(schema.blobs), {"digest": "d", "data": b"x", "created_at": 1.0})

        with pytest.raises(LeaseLost):
            claimed.append(NOTE, companions=[write])
        with store.db.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM blobs")).scalar() == 0

    def test_a_claim_that_meets_the_last_write_of_the_owner_before_tries_again(self, store, claimed):
        """The stale owner's record is on its way, not yet committed, while the claim is made."""
        writing, written = threading.Event(), threading.Event()
        row = claimed.rows_after(claimed.head, [NOTE])[0]

        def stale():
            with store.process().db.write() as connection:
                connection.execute(insert(schema.journal), row)
                writing.set()
                written.wait(0.3)

        def claim():
            writing.wait(20)
            return store.process().claim(owner="other", dead=["me"])

        found = in_threads(stale, claim)
        assert found[0] is None
        assert found[1].epoch == 2, found[1]
        assert [record.kind for record in store.records()] == ["started", "claimed", "note", "claimed"]
        assert store.verify()[0] == 4


class TestGroupCommit:
    def test_appends_that_wait_at_the_same_time_share_a_commit(self, store):
        journals = [(store.start(f"e{n}"), store.claim(f"e{n}"))[1] for n in range(12)]
        commits, found = group(store, *(lambda j=j: j.append(NOTE) for j in journals))
        assert [records[0].seq for records in found] == [3] * 12
        assert commits == 2
        for n in range(12):
            assert store.verify(f"e{n}")[0] == 3

    def test_appends_of_one_journal_share_a_commit_too(self, store, claimed):
        commits, found = group(store, *(lambda: claimed.append(NOTE, NOTE) for _ in range(8)))
        assert sorted(records[0].seq for records in found) == list(range(3, 18, 2))
        assert commits == 2
        assert store.verify() == claimed.head

    @pytest.mark.parametrize("place", [0, 1, 3])
    def test_one_that_spoils_the_shared_commit_fails_alone(self, store, place):
        journals = [(store.start(f"e{n}"), store.claim(f"e{n}"))[1] for n in range(4)]
        first = (store.start("first"), store.claim("first"))[1]

        def poison(_connection):
            raise KeyError("poison")

        calls = [
            (lambda j=j: j.append(NOTE, companions=[poison])) if n == place else (lambda j=j: j.append(NOTE))
            for n, j in enumerate(journals)
        ]
        _, found = group(store, lambda: first.append(NOTE), *calls)
        for n, outcome in enumerate(found[1:]):
            if n == place:
                assert isinstance(outcome, KeyError)
                assert store.verify(f"e{n}")[0] == 2
                journals[n].append(NOTE)
            else:
                assert outcome[0].seq == 3
            assert store.verify(f"e{n}")[0] == 3

    def test_one_that_lost_its_lease_fails_alone(self, store):
        journals = [(store.start(f"e{n}"), store.claim(f"e{n}"))[1] for n in range(4)]
        store.process().claim("e2", owner="other", dead=["me"])
        _, found = group(store, *(lambda j=j: j.append(NOTE) for j in journals))
        assert [type(outcome) for outcome in found] == [tuple, tuple, LeaseLost, tuple]
        for n in range(4):
            assert store.verify(f"e{n}")[0] == 3

    def test_one_that_spoils_it_in_the_middle_of_its_own_journal(self, store, claimed):
        def poison(_connection):
            raise KeyError("poison")

        _, found = group(
            store,
            lambda: claimed.append(NOTE),
            lambda: claimed.append(NOTE, companions=[poison]),
            lambda: claimed.append(NOTE),
            lambda: claimed.append(NOTE, companions=[poison]),
            lambda: claimed.append(NOTE),
        )
        assert [type(outcome) for outcome in found].count(KeyError) == 2
        assert store.verify() == claimed.head
        assert claimed.head[0] == 5

    def test_a_leader_that_is_torn_away_takes_nobodys_record_with_it(self, store):
        """KeyboardInterrupt in the thread that commits for all: the others commit for themselves."""
        journals = [(store.start(f"e{n}"), store.claim(f"e{n}"))[1] for n in range(4)]
        first = (store.start("first"), store.claim("first"))[1]
        torn = threading.Event()

        def interrupt(_connection):
            if not torn.is_set():
                torn.set()
                raise KeyboardInterrupt

        calls = [lambda j=j: j.append(NOTE, companions=[interrupt]) for j in journals]
        _, found = group(store, lambda: first.append(NOTE), *calls)
        assert [type(outcome) for outcome in found[1:]].count(KeyboardInterrupt) == 1
        for n, outcome in enumerate(found[1:]):
            assert store.verify(f"e{n}")[0] == (2 if isinstance(outcome, KeyboardInterrupt) else 3)


class TestLostAnswer:
    """A commit that was carried out although its answer did not come."""

    class Cut:
        """The answer of the next commits is lost: they are carried out, and DatabaseUnavailable is raised."""

        def __init__(self, store, times=1, *, carried_out=True):
            self.times, self.carried_out = times, carried_out
            self.do_commit = store.db.engine.dialect.do_commit
            store.db.engine.dialect.do_commit = self
            self.error = store.db.engine.dialect.loaded_dbapi.OperationalError

        def __call__(self, connection):
            if self.times == 0:
                return self.do_commit(connection)
            self.times -= 1
            if self.carried_out:
                self.do_commit(connection)
            raise self.error("server closed the connection unexpectedly")

    def test_it_is_neither_lost_nor_doubled(self, store, claimed):
        self.Cut(store)
        assert claimed.append(NOTE, NOTE)[1].seq == 4
        assert store.verify() == claimed.head == (4, store.records()[-1].digest)
        claimed.append(NOTE)
        assert store.verify()[0] == 5

    def test_nor_if_the_request_was_lost(self, store, claimed):
        self.Cut(store, carried_out=False)
        assert claimed.append(NOTE)[0].seq == 3
        assert store.verify()[0] == 3

    @pytest.mark.parametrize("carried_out", [True, False])
    def test_nor_in_a_shared_commit(self, store, carried_out):
        journals = [(store.start(f"e{n}"), store.claim(f"e{n}"))[1] for n in range(5)]
        first = (store.start("first"), store.claim("first"))[1]

        def cut():
            found = first.append(NOTE)
            self.Cut(store, carried_out=carried_out)
            return found

        _, found = group(store, cut, *(lambda j=j: j.append(NOTE) for j in journals))
        assert [records[0].seq for records in found] == [3] * 6
        for n in range(5):
            assert store.verify(f"e{n}") == journals[n].head

    def test_nor_with_companions(self, store, claimed):
        def write(connection):
            connection.execute(insert(schema.blobs), {"digest": "d", "data": b"x", "created_at": 1.0})

        self.Cut(store)
        claimed.append(NOTE, companions=[write])
        assert store.verify()[0] == 3

    def test_nor_with_records_made_inside(self, store, claimed):
        runs = []
        self.Cut(store)
        claimed.transact(lambda _: runs.append(1) or [NOTE])
        assert store.verify()[0] == 3
        assert runs == [1]

    def test_another_owner_that_came_meanwhile_is_not_overwritten(self, store, claimed):
        self.Cut(store, carried_out=False)
        find = store.writer._digest_at

        def find_then_claim(entry):
            found = find(entry)
            if not claimed.lost and store.get().epoch == 1:
                store.process().claim(owner="other", dead=["me"])
            return found

        store.writer._digest_at = find_then_claim
        with pytest.raises(LeaseLost):
            claimed.append(NOTE)
        assert [record.kind for record in store.records()] == ["started", "claimed", "claimed"]

    def test_a_database_that_stays_away_is_named_and_the_journal_is_given_up(self, store):
        away = store.process(timeout=0.3)
        store.start("f")
        held = away.claim("f")
        self.Cut(away, times=10_000, carried_out=False)
        with pytest.raises(DatabaseUnavailable):
            held.append(NOTE)
        assert held.lost
        with pytest.raises(LeaseLost):
            held.append(NOTE)
        assert store.verify("f")[0] == 2

    def test_an_attempt_that_arrives_after_it_was_asked_after_counts_as_ones_own(self, store, claimed):
        """The answer did not come in time; the first attempt commits while the second is being made."""
        rows = []
        original = claimed.rows_after

        def remember(head, records):
            rows[:] = original(head, records)
            return list(rows)

        claimed.rows_after = remember
        cut = self.Cut(store, carried_out=False)
        find = store.writer._digest_at

        def find_then_arrive(entry):
            found = find(entry)
            if found is None and cut.times == 0 and rows:
                arriving = list(rows)
                rows.clear()
                with store.process().db.write() as connection:
                    connection.execute(insert(schema.journal), arriving)
            return found

        store.writer._digest_at = find_then_arrive
        assert claimed.append(NOTE)[0].seq == 3
        assert not claimed.lost
        assert store.verify()[0] == 3


class TestChain:
    @pytest.fixture
    def chain(self, store, claimed):
        for n in range(6):
            claimed.append(NewRecord("note", f"s{n}", {"n": n}, b'{"v":1,"d":1}'))
        assert store.verify()[0] == 8
        return store

    def change(self, store, seq, /, **values):
        table = schema.journal
        with store.db.write() as connection:
            connection.execute(update(table).where(table.c.seq == seq).values(**values))

    @pytest.mark.parametrize(
        "values",
        [
            {"payload": b'{"n":7}'},
            {"kind": "signal"},
            {"step_key": "other"},
            {"step_key": None},
            {"at": 1.5},
            {"epoch": 9},
            {"digest": b"x" * 32},
        ],
        ids=lambda values: next(iter(values)),
    )
    def test_every_edit_is_found(self, chain, values):
        self.change(chain, 5, **values)
        with pytest.raises(JournalCorrupt, match="'e'.*record 5 was changed"):
            chain.verify()

    def test_two_records_that_changed_places_are_found(self, chain):
        for before, after in ((5, 99), (6, 5), (99, 6)):
            self.change(chain, before, seq=after)
        with pytest.raises(JournalCorrupt, match="record 5 was changed"):
            chain.verify()

    def test_a_record_deleted_from_the_middle_is_found(self, chain):
        with chain.db.write() as connection:
            connection.execute(text("DELETE FROM journal WHERE seq = 4"))
        with pytest.raises(JournalCorrupt, match="record 4 is missing"):
            chain.verify()

    def test_records_moved_together_after_a_deletion_are_found(self, chain):
        with chain.db.write() as connection:
            connection.execute(text("DELETE FROM journal WHERE seq = 4"))
        for seq in (5, 6, 7, 8):
            self.change(chain, seq, seq=seq - 1)
        with pytest.raises(JournalCorrupt, match="record 4 was changed"):
            chain.verify()

    def test_a_record_of_another_execution_is_found(self, chain):
        chain.start("f")
        with chain.db.write() as connection:
            connection.execute(text("DELETE FROM journal WHERE execution_id = 'f'"))
            connection.execute(text("UPDATE journal SET execution_id = 'f'"))
        with pytest.raises(JournalCorrupt, match="'f'.*record 1 was changed"):
            chain.verify("f")

    def test_the_head_tells_a_truncated_tail_to_whoever_kept_it(self, chain):
        kept = chain.verify()
        with chain.db.write() as connection:
            connection.execute(text("DELETE FROM journal WHERE seq > 6"))
        assert chain.verify() != kept

    def test_an_empty_journal_has_the_first_digest(self, store):
        assert store.verify("nothing") == (0, journal.GENESIS)


def test_errors_of_storage_are_all_of_one_kind():
    assert issubclass(DatabaseUnavailable, StorageError)
    assert issubclass(JournalCorrupt, StorageError)
