"""start, list, show, cancel, retry."""

from __future__ import annotations

import json

import pytest

from durable import Runtime, ask, step, tool
from durable.declare import registry
from tests.cli.conftest import Order

EXECUTION_KEYS = [
    "id",
    "namespace",
    "app",
    "app_version",
    "thread",
    "queue",
    "priority",
    "status",
    "epoch",
    "attempts",
    "lease_owner",
    "lease_expires_at",
    "run_after",
    "deadline_at",
    "cancel_reason",
    "parent",
    "correlation_id",
    "created_at",
    "started_at",
    "finished_at",
    "tags",
    "error",
]


def test_start_records_an_execution_that_a_worker_runs(durable, runtime):
    done = durable("start", "add", "--input", '{"a": 1, "b": -2}', "--id", "x")
    assert done.stdout == "x pending\n"
    assert [result.output for result in runtime.recover()] == [3]


def test_start_needs_nothing_but_a_database_and_makes_a_new_one(document):
    assert document("start", "anything")["status"] == "pending"
    assert [one["app"] for one in document("list")] == ["anything"]


def test_start_takes_every_option(document):
    words = ["--id", "x", "--thread", "t", "--queue", "slow", "--priority", "7", "--deadline", "60"]
    found = document("start", "add", *words, "--tag", "team=a", "--tag", "note=b=c")
    assert found["deadline_at"] - found["created_at"] == pytest.approx(60, abs=5)
    told = {key: found[key] for key in ("id", "thread", "queue", "priority", "tags")}
    assert told == {"id": "x", "thread": "t", "queue": "slow", "priority": 7, "tags": {"team": "a", "note": "b=c"}}


def test_the_same_id_is_the_same_execution_and_with_another_input_it_is_refused(durable, document):
    first = document("start", "add", "--id", "x", "--input", "1")
    assert document("start", "add", "--id", "x", "--input", "1") == first
    refused = durable("start", "add", "--id", "x", "--input", "2", status=1)
    assert refused.stdout == ""
    assert refused.stderr.startswith("durable: execution 'x' exists with another input")


@pytest.mark.parametrize("given", ["from a file", "from stdin"])
def test_input_may_come_from_a_file_or_from_stdin(durable, document, tmp_path, given):
    (tmp_path / "input.json").write_text('{"a": 5}', encoding="utf-8")
    word = f"@{tmp_path / 'input.json'}" if given == "from a file" else "-"
    durable("start", "add", "--id", "x", "--input", word, input='{"a": 5}')
    assert document("show", "x")["input"] == {"a": 5}


@pytest.mark.parametrize(
    "words", [["--input", "{oops"], ["--input", "@nowhere.json"], ["--tag", "novalue"], ["--priority", "high"]]
)
def test_what_cannot_be_read_is_wrong_usage(durable, words):
    assert durable("start", "add", *words, status=2).stdout == ""


def test_list_filters_by_status_app_thread_and_tag(durable, document, runtime):
    durable("start", "add", "--id", "a", "--thread", "t", "--tag", "team=x", "--input", '{"a": 1}')
    durable("start", "fail", "--id", "b", "--input", '{"why": "because"}')
    runtime.recover()
    durable("start", "add", "--id", "c")

    def ids(*words):
        return [one["id"] for one in document("list", *words)]

    assert ids() == ["c", "b", "a"]
    assert ids("--status", "succeeded", "--status", "failed") == ["b", "a"]
    assert ids("--app", "add") == ["c", "a"]
    assert ids("--thread", "t") == ids("--tag", "team=x") == ["a"]
    assert ids("--tag", "team=y") == []
    assert ids("--limit", "1") == ["c"]


def test_list_shows_one_line_for_each_and_what_is_the_matter(durable, runtime):
    durable("start", "fail", "--id", "b", "--input", '{"why": "because"}')
    runtime.recover()
    header, _, line = (line.rstrip() for line in durable("list").stdout.splitlines())
    assert header.split() == ["id", "app", "status", "thread", "created", "(UTC)"]
    assert line.startswith("b ")
    assert line.endswith("ValueError: because")


def test_list_says_so_when_there_is_nothing(durable, document, runtime):
    assert durable("list").stdout == "no executions\n"
    assert document("list") == []


def test_an_unknown_status_is_wrong_usage(durable, runtime):
    assert "is not one of pending, running" in durable("list", "--status", "done", status=2).stderr


def test_the_keys_of_an_execution_are_stable(document, runtime):
    runtime.run("add", {"a": 1}, id="x")
    assert list(document("list")[0]) == EXECUTION_KEYS
    assert list(document("show", "x")) == [*EXECUTION_KEYS, "input", "output", "interrupts"]


def test_show_tells_values_of_types_it_does_not_know(durable, document, runtime):
    runtime.run("pay", {"order": Order(7, ("a", "b")), "amount": 3}, id="x")
    found = document("show", "x")
    assert found["input"]["order"] == {"$type": f"{Order.__module__}:Order", "number": 7, "lines": ["a", "b"]}
    assert found["interrupts"][0]["arguments"]["order"]["number"] == 7
    assert "number" in durable("show", "x").stdout
    assert "waits for" in durable("show", "x").stdout


def test_a_large_input_is_shown_whole(document, runtime):
    runtime.start("add", "x" * 200_000, id="x")
    assert document("show", "x")["input"] == "x" * 200_000


def test_cancel_ends_what_nobody_drives_and_keeps_the_reason(durable, document, runtime):
    runtime.start("add", 1, id="x")
    assert durable("cancel", "x", "--reason", "no more").stdout == "x cancelled\n"
    assert document("show", "x")["error"] == {"type": "Cancelled", "message": "no more"}
    assert durable("cancel", "x").exit_code == 0  # it is cancelled: nothing to refuse
    runtime.run("add", {"a": 1}, id="y")
    assert "it is succeeded" in durable("cancel", "y", status=1).stderr


def test_retry_lets_a_failed_execution_go_on(durable, document, runtime):
    answers = iter([OSError("down"), "up"])

    @tool(effect="read")
    def ask():
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    runtime.function("ask")(lambda: step(ask))
    runtime.run("ask", id="x")
    assert document("retry", "x")["status"] == "pending"
    assert [result.output for result in runtime.recover()] == ["up"]
    assert "cannot retry" in durable("retry", "x", status=1).stderr


@pytest.mark.parametrize("words", [["show", "nope"], ["history", "nope"], ["cancel", "nope"], ["retry", "nope"]])
def test_an_unknown_id_is_refused_by_its_name(durable, runtime, words):
    assert durable(*words, status=1).stderr == (
        "durable: no execution 'nope' in namespace 'default'; `durable list` shows them\n"
    )


def test_namespaces_do_not_see_each_other(durable, document, runtime):
    durable("start", "add", "--id", "x", "--namespace", "other")
    assert document("list") == []
    assert [one["id"] for one in document("list", "--namespace", "other")] == ["x"]


def test_a_refusal_is_json_too_if_that_was_asked_for(durable, runtime):
    said = json.loads(durable("show", "nope", "--json", status=1).stderr)
    assert said["error"]["type"] == "ExecutionNotFound"
    assert "no execution 'nope'" in said["error"]["message"]


def test_what_is_stored_cannot_command_the_terminal(durable, runtime):
    evil = "\x1b[2J\x07\u202egnp.exe\x9b31m"
    runtime.run("fail", {"why": evil}, id="x", tags={"t": evil})
    for words in (["list"], ["show", "x"], ["history", "x"]):
        shown = durable(*words).stdout
        assert shown.isprintable() or not {"\x1b", "\x07", "\u202e", "\x9b"} & set(shown)
        assert "x1b[2J" in shown or "u001b[2J" in shown


def test_a_cancelled_execution_is_undone_by_a_worker_with_its_app(durable, url, monkeypatch):
    undone = []
    with Runtime(url) as runtime:

        @tool(compensate=lambda arguments, result: undone.append(arguments["order"]))
        def reserve(order):
            return order

        @runtime.function("reserving")
        def reserving():
            reserve("A-1")
            return ask("go on?")

        runtime.run("reserving", id="r")
        with monkeypatch.context() as elsewhere:  # as in a process that does not import the app
            elsewhere.setattr(registry, "_declared", {})
            said = durable("cancel", "r", "--compensate", "--reason", "no stock").output
        assert "pending (is asked to end; a worker of its app undoes what it has done first)" in said
        runtime.recover()
        assert (undone, runtime.get("r").status) == (["A-1"], "cancelled")
    shown = durable("history", "r").output
    assert "undoes reserve; then cancelled: no stock" in shown
    assert "compensate:reserve" in shown
    assert "no stock; undone: reserve" in shown


def test_fork_begins_another_execution_with_the_first_records(durable, document, runtime):
    runtime.run("add", {"a": 1}, id="old")
    seq = len(runtime.get("old").history())
    found = document("fork", "old", "--at", "1", "--id", "new")
    assert (found["id"], found["status"]) == ("new", "pending")
    assert durable("fork", "old", "--at", "1", "--id", "new").stdout == "new pending\n"
    runtime.recover()
    (asked,) = document("approvals", "list")
    assert (asked["kind"], asked["execution_id"]) == ("repeat", "new")
    assert "in execution old" in durable("approvals", "list").stdout
    durable("resolve", asked["id"], "--reuse", "--by", "ann")
    runtime.recover()
    durable("resolve", document("approvals", "list")[0]["id"], "--again", "--by", "ann")
    assert [result.output for result in runtime.recover()] == [1]
    assert durable("fork", "old", "--at", str(seq + 1), status=1).stderr.startswith(
        "durable: execution 'old' cannot be"
    )


def test_an_agents_thread_is_forked_by_its_app(durable, runtime):
    with Runtime(runtime.database.url.render_as_string(hide_password=False)) as other:
        other.function("elsewhere")(lambda: None)
        other.run("elsewhere", id="old", thread="t")
    refused = durable("fork", "old", "--at", "1", status=1)
    assert "durable fork --app MODULE:ATTRIBUTE" in refused.stderr
