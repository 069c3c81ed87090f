"""db upgrade, db check, doctor."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from durable import Runtime, step
from durable.checkpoint.migrations import HEAD
from durable.cli import checks


@pytest.fixture
def file(sqlite_url):
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def _quick(monkeypatch):
    """Doctor does not start interpreters to see how long that takes; one test lets it."""
    monkeypatch.setattr(checks, "start_costs", lambda: [checks.Check("ok", "worker start", "1.00 s")])


def execute(file, statement):
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    connection.close()


def test_upgrade_makes_the_database_and_then_finds_nothing_to_do(durable, document, file):
    found = document("db", "upgrade")
    assert (found["from"], found["to"], found["changed"]) == (None, HEAD, True)
    assert durable("db", "upgrade").stdout.endswith(f"durable.db: is at version {HEAD}\n")


@pytest.mark.parametrize("words", [["list"], ["show", "x"], ["approvals", "list"], ["db", "check"]])
def test_looking_never_makes_a_database(durable, file, words):
    assert "there is no database at" in durable(*words, status=1).stderr
    assert not file.exists()


def test_looking_never_upgrades_one(durable, file):
    file.touch()
    assert durable("list", status=1).stderr == (
        f"durable: the schema has version none, {HEAD} is needed: run `durable db upgrade`\n"
    )


def test_a_schema_that_is_newer_is_refused(durable, runtime, file):
    execute(file, "UPDATE durable_schema SET version_num = '9999'")
    for words in (["list"], ["db", "upgrade"]):
        assert "9999" in durable(*words, status=1).stderr


@pytest.mark.usefixtures("_quick")
def test_a_file_that_is_no_database_is_refused(durable, file):
    file.write_text("this is a letter to my grandmother, not a database\n" * 100)
    assert "not a database" in durable("list", status=1).stderr
    assert "not a database" in durable("doctor", status=1).stdout


def test_check_counts_what_is_there_and_verifies_it(durable, document, runtime):
    runtime.run("add", {"a": 1}, id="x")
    runtime.run("pay", {"order": "x" * 100_000}, id="y")
    found = document("db", "check")
    assert (found["schema"], found["problems"]) == (HEAD, [])
    assert found["counts"]["executions"] == {"succeeded": 1, "suspended": 1}
    assert found["counts"]["interrupts"] == {"open": 1}
    assert found["counts"]["journal"]["total"] == 7 + 4
    assert found["counts"]["blobs"]["total"] >= 1
    assert "1 succeeded, 1 suspended" in durable("db", "check").stdout


BROKEN = {
    "a changed record": ("UPDATE journal SET at = at + 1 WHERE seq = 3", "record 3 was changed"),
    "a missing record": ("DELETE FROM journal WHERE seq = 3", "record 3 is missing"),
    "a changed blob": ("UPDATE blobs SET data = x'00'", "it was changed"),
    "a missing blob": ("DELETE FROM blobs", "the value of record 4 is missing"),
    "a missing journal": ("DELETE FROM journal", "it is empty"),
    "a missing execution": ("DELETE FROM executions", "there is no such execution"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_check_names_what_is_wrong(durable, file, url, what):
    with Runtime(url) as runtime:
        runtime.function("app")(lambda: step(lambda: "x" * 100_000) and None)
        runtime.run("app", id="x")
    statement, problem = BROKEN[what]
    execute(file, statement)
    refused = durable("db", "check", status=1)
    assert problem in refused.stdout
    assert "problems found" in refused.stderr


@pytest.mark.usefixtures("_quick")
def test_doctor_finds_a_healthy_installation_healthy(document, durable, runtime):
    found = document("doctor")
    assert found["ok"] is True
    assert {check["status"] for check in found["checks"]} <= {"ok", "warn"}
    for check in found["checks"]:
        assert list(check) == ["status", "name", "found", "remedy"]
    by_name = {check["name"]: check for check in found["checks"]}
    names = ("python", "sqlalchemy", "worker start", "database", "durability", "clocks", "disk", "schema", "workers")
    assert set(names) <= by_name.keys()
    assert by_name["durability"]["found"].endswith("journal_mode wal, synchronous FULL, foreign_keys 1")
    assert durable("doctor").stdout.splitlines()[2].startswith("ok")


def test_doctor_measures_what_the_start_of_a_worker_costs_with_each_adapter_that_is_installed(monkeypatch):
    # other modules stand for the adapters: what those import takes seconds
    modules = {"typer": "typer", "sqlalchemy": "none_of_that_name", "not-installed": "typer"}
    monkeypatch.setattr(checks, "ADAPTERS", modules)
    bare, with_typer, broken = checks.start_costs()
    assert [bare.name, with_typer.name, broken.name] == ["worker start", "with typer", "with sqlalchemy"]
    assert {bare.status, with_typer.status} <= {"ok", "warn"}
    assert all(re.fullmatch(r"[0-9.]+ (ms|s)", each.found) for each in (bare, with_typer))
    assert (broken.status, broken.found) == ("fail", "ModuleNotFoundError: No module named 'none_of_that_name'")


@pytest.mark.usefixtures("_quick")
def test_doctor_says_what_to_do_about_a_missing_or_an_old_database(document, file):
    missing = document("doctor", status=1)["checks"][-1]
    assert (missing["status"], missing["name"]) == ("fail", "database")
    assert "durable db upgrade" in missing["remedy"]
    file.touch()
    old = document("doctor", status=1)["checks"][-1]
    assert (old["name"], old["remedy"]) == ("schema", "durable db upgrade")


@pytest.mark.usefixtures("_quick")
def test_doctor_finds_dead_owners_and_open_doubts(document, runtime, file):
    runtime.run("pay", {"order": 1}, id="x")
    runtime.start("add", {"a": 1}, id="y")
    execute(file, "UPDATE interrupts SET kind = 'in_doubt'")
    execute(file, "UPDATE executions SET status='running', lease_owner='vm:1:2:3:4', lease_expires_at=1 WHERE id='y'")
    found = {check["name"]: check for check in document("doctor")["checks"]}
    assert (found["workers"]["status"], found["workers"]["found"]) == ("warn", "gone without letting go: vm:1")
    assert found["inbox"]["status"] == "warn"
    assert found["inbox"]["found"].startswith("1 in doubt")
    assert "durable resolve" in found["inbox"]["remedy"]


@pytest.mark.parametrize(
    ("version", "asked", "fits"),
    [
        ("1.2.22", ">=1.2.22,<1.3", True),
        ("1.3.0", ">=1.2.22,<1.3", False),
        ("1.2.9", ">=1.2.22,<1.3", False),
        ("18.6.1", ">=18.6", True),
        ("2.1.9+local", ">=2.1.9", True),
        ("1.0", "", True),
    ],
)
def test_a_version_is_compared_with_the_one_that_was_tested(version, asked, fits):
    assert checks._fits(version, asked) is fits
