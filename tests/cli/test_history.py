"""history: one line a record, claims and crashes visible, the chain verified."""

from __future__ import annotations

import sqlite3

import pytest

from durable import Decision, Retry, ask, sleep, step, tool
from durable.cli.history import Line, lines, who
from tests.world import DAY, World, crashed


def said(runtime, execution_id):
    return [(line.kind, line.step, line.what) for line in lines(runtime.get(execution_id).history())]


def test_a_run_is_told_line_by_line(durable, runtime):
    runtime.run("add", {"a": -1, "b": 2}, id="x")
    owner = who(runtime.leases.owner.name)
    assert said(runtime, "x") == [
        ("started", "", "app add"),
        ("claimed", "", f"by {owner}"),
        ("step_started", "abs#1", "abs (once), attempt 1"),
        ("step_done", "abs#1", "abs -> 1"),
        ("step_started", "abs#2", "abs (once), attempt 1"),
        ("step_done", "abs#2", "abs -> 2"),
        ("succeeded", "", ""),
    ]
    shown = durable("history", "x").stdout
    assert all(what in shown for _, _, what in said(runtime, "x"))


def test_a_crash_is_a_line_of_its_own_with_what_was_in_flight(sqlite_url):
    world = World(sqlite_url)

    def process(notify, later=0.0):
        runtime = world.process(later=later)
        runtime.function("app")(lambda: (step(abs, -1), step(notify)))
        return runtime

    def notify():
        world.die()

    first = process(notify)
    crashed(lambda: first.run("app", id="x"))
    second = process(notify, later=DAY)
    second.run("app", id="x")
    told = said(second, "x")
    world.close()
    old, new = who(first.leases.owner.name), who(second.leases.owner.name)
    assert told[5:8] == [
        ("crash", "", f"{old} did not let go; outcome unknown: notify"),
        ("claimed", "", f"recovered by {new}; 1 finished steps are replayed, not run"),
        ("interrupt_opened", "notify#1", told[7][2]),
    ]
    assert told[7][2].startswith("in_doubt int-")


def test_a_clean_pause_is_no_crash(durable, runtime):
    run = runtime.run("pay", {"order": 1}, id="x")
    runtime.decide(run.interrupts[0].id, Decision.approve(), by="alice", comment="fine")
    runtime.run("pay", {"order": 1}, id="x")
    told = said(runtime, "x")
    assert "crash" not in [kind for kind, _, _ in told]
    assert ("note", "", f"waits for {run.interrupts[0].id}") in told
    assert ("claimed", "", f"continued by {who(runtime.leases.owner.name)}") in told
    assert ("interrupt_closed", "pay#1", "approve by alice, comment: fine") in told


def test_every_ending_and_every_kind_of_wait_is_told(runtime):
    flaky = iter([OSError("first"), "fine"])

    @tool(effect="read", retry=Retry(attempts=2, initial=0.001))
    def fetch():
        found = next(flaky)
        if isinstance(found, Exception):
            raise found
        return found

    @runtime.function("app")
    def app():
        fetch()
        step(lambda: open)  # a result that cannot be stored is lost, not run again

    @runtime.function("wait")
    def wait():
        ask("which?", choices=("a", "b"))
        sleep(3600)

    runtime.run("app", id="x")
    told = {kind: what for kind, _, what in said(runtime, "x")}
    assert told["step_retry"].startswith("fetch failed: OSError: first; again at 2")
    assert "its result is lost" in told["step_done"]
    assert told["failed"].startswith("ResultLost")
    run = runtime.run("wait", id="y")
    runtime.decide(run.interrupts[0].id, Decision.respond("a"), by="bob")
    runtime.run("wait", id="y")
    kinds = [kind for kind, _, _ in said(runtime, "y")]
    assert kinds.count("note") == 2
    assert "timer" in kinds
    runtime.get("y").cancel("no more")
    assert said(runtime, "y")[-1] == ("cancelled", "", "no more")


def test_a_rejection_tells_the_reason(runtime):
    run = runtime.run("pay", {"order": 1}, id="x")
    runtime.decide(run.interrupts[0].id, Decision.reject("too much"), by="bob")
    runtime.run("pay", {"order": 1}, id="x")
    assert ("step_failed", "pay#1", "pay rejected: too much") in said(runtime, "x")
    assert ("interrupt_closed", "pay#1", "reject by bob, reason: too much") in said(runtime, "x")


def test_the_time_an_answer_took_stands_beside_it(runtime):
    run = runtime.run("pay", {"order": 1}, id="x")
    runtime.decide(run.interrupts[0].id, Decision.approve(), by="alice")
    runtime.run("pay", {"order": 1}, id="x")
    records = runtime.get("x").history()
    (closed,) = [line for line in lines(records) if line.kind == "interrupt_closed"]
    at = {record.kind: record.at for record in records}
    assert closed.seconds == at["interrupt_closed"] - at["interrupt_opened"]


def test_an_owner_that_is_known_to_be_gone_is_told_before_anybody_recovers(runtime):
    runtime.run("add", {"a": 1}, id="x")
    records = runtime.get("x").history()[:3]
    last = lines(records, gone=True)[-1]
    owner = who(runtime.leases.owner.name)
    assert last == Line(None, 1, "crash", "", f"{owner} did not let go; outcome unknown: abs")


def test_verify_tells_the_head_of_an_intact_chain(durable, document, runtime):
    runtime.run("add", {"a": 1}, id="x")
    found = document("history", "x", "--verify")
    assert found["verified"] == {"length": len(found["records"]), "head": found["records"][-1]["digest"]}
    assert "the chain of 7 records is intact" in durable("history", "x", "--verify").stdout
    assert document("history", "x")["verified"] is None


def test_a_journal_that_was_changed_is_shown_and_refused(durable, runtime, tmp_path):
    runtime.run("add", {"a": 1}, id="x")
    with sqlite3.connect(tmp_path / "durable.db") as file:
        file.execute("UPDATE journal SET payload = CAST(replace(payload, 'abs', 'sba') AS BLOB) WHERE seq = 4")
    file.close()
    refused = durable("history", "x", "--verify", status=1)
    assert "sba" in refused.stdout
    assert refused.stderr == "durable: journal of 'x': record 4 was changed\n"
    assert durable("history", "x").exit_code == 0


def test_a_record_that_cannot_be_read_is_refused_and_not_a_traceback(durable, runtime, tmp_path):
    runtime.run("add", {"a": 1}, id="x")
    with sqlite3.connect(tmp_path / "durable.db") as file:
        file.execute("UPDATE journal SET payload = x'00ff' WHERE seq = 4")
    file.close()
    assert "record 4 was changed" in durable("history", "x", "--verify", status=1).stderr
    assert "cannot be read" in durable("history", "x", status=1).stderr
    assert "record 4 was changed" in durable("db", "check", status=1).stdout


def test_the_keys_of_a_record_are_stable(document, runtime):
    runtime.run("add", {"a": 1}, id="x")
    found = document("history", "x")
    assert list(found) == ["execution_id", "records", "verified"]
    for record in found["records"]:
        assert list(record) == ["seq", "epoch", "kind", "step_key", "at", "meta", "value", "digest"]
    assert [record["seq"] for record in found["records"]] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(("owner", "short"), [("vm:12:34:ab:cd", "vm:12"), ("custom", "custom"), (None, "")])
def test_an_owner_is_shown_as_host_and_process(owner, short):
    assert who(owner) == short
