"""How the command line is called: options on every verb, runtimes by name, wrong usage, colours."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from durable import Runtime
from durable.cli import app
from durable.cli.render import clean, took
from tests.cli.conftest import ENVIRONMENT

VERBS = """
    worker, start, list, show, history, cancel, retry, approvals list, approvals approve, approvals edit,
    approvals reject, approvals respond, resolve, db upgrade, db check, doctor
"""
MODULE = """
from durable import Runtime
runtime = Runtime()
nothing = Runtime()
number = 3

def make():
    return runtime

def nap(n):
    return n

runtime.function("nap")(nap)
"""


@pytest.mark.parametrize("verb", [verb.strip() for verb in VERBS.split(",")])
def test_every_verb_has_db_namespace_and_json_and_a_sentence(verb):
    done = CliRunner().invoke(app, [*verb.split(), "--help"], env=ENVIRONMENT)
    assert done.exit_code == 0
    assert all(option in done.stdout for option in ("--db", "--namespace", "--json"))
    assert done.stdout.strip().splitlines()[2].strip().endswith(".")


@pytest.mark.parametrize("words", [[], ["approvals"], ["db"], ["frobnicate"], ["list", "--frobnicate"], ["show"]])
def test_wrong_usage_ends_with_2(words):
    assert CliRunner().invoke(app, words, env=ENVIRONMENT).exit_code == 2


@pytest.fixture
def module(tmp_path, monkeypatch, url):
    """A module in the current folder, with runtimes on the test's database."""
    (tmp_path / "sample_of_cli.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "sample_that_breaks.py").write_text("import not_installed_anywhere\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("DURABLE_URL", url)
    yield "sample_of_cli"
    made = sys.modules.pop("sample_of_cli", None)
    if made is not None:
        made.runtime.close()
        made.nothing.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere:runtime", "there is no module 'nowhere'"),
        ("sample_of_cli:nothere", "sample_of_cli has no 'nothere'; runtimes in it: runtime, nothing"),
        ("sample_of_cli", "is not of the form module:attribute"),
        ("sample_of_cli:number", "is a int, not a durable.Runtime"),
        ("sample_of_cli:nap", "is a function, not a durable.Runtime"),
    ],
)
def test_a_runtime_that_cannot_be_found_is_wrong_usage(durable, module, name, said):
    assert said in " ".join(durable("worker", name, status=2).stderr.replace("│", " ").split())


def test_a_module_that_fails_to_import_shows_its_own_error(durable, module):
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        durable("worker", "sample_that_breaks:runtime")


def test_a_worker_without_apps_or_in_another_namespace_is_refused(durable, module):
    assert durable("worker", f"{module}:nothing", status=1).stderr.startswith(
        "durable: sample_of_cli:nothing has no apps"
    )
    refused = durable("worker", f"{module}:runtime", "--namespace", "other", status=1)
    assert refused.stderr == "durable: sample_of_cli:runtime works in namespace 'default', not in 'other'\n"


def test_start_with_the_runtime_of_the_app_refuses_a_name_it_does_not_know(durable, module):
    for name in ("runtime", "make"):
        assert durable("start", "nap", "--id", name, "--app", f"{module}:{name}").stdout == f"{name} pending\n"
    assert durable("start", "knap", "--app", f"{module}:make", status=1).stderr.startswith(
        "durable: no app named 'knap'"
    )


def test_a_runtime_with_a_database_of_its_own_is_not_moved(durable, module, tmp_path, monkeypatch):
    durable("start", "nap", "--app", f"{module}:make")
    with Runtime(f"sqlite:///{tmp_path / 'other.db'}") as other:
        sys.modules[module].other = other
        refused = durable("worker", f"{module}:other", status=1)
    assert "has a database of its own" in refused.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größe 日本 🙂", "größe 日本 🙂"),
        ("two\nlines", "two\nlines"),
        ("\x1b[31mred\x07\r", "\\x1b[31mred\\x07\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eexe.gnp", "\\u202eexe.gnp"),
        ("\ud800", "\\ud800"),
        ("[bold]not markup[/bold]", "[bold]not markup[/bold]"),
    ],
)
def test_nothing_that_is_shown_commands_the_terminal(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.0004, "0.4 ms"), (2.5, "2.50 s"), (90, "1.5 min"), (5400, "1.5 h"), (180000, "2.1 d")],
)
def test_a_duration_has_the_unit_that_fits(seconds, shown):
    assert took(seconds) == shown
