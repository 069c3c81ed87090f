"""The command line as processes: a worker that drains, exit codes, what is imported, both databases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from durable import Runtime
from tests.world import until

ROOT = Path(__file__).parents[2]

APP = """
import pathlib, time
from durable import Runtime, step, tool
runtime = Runtime()
nothing = Runtime()
number = 3

def make():
    return runtime

def nap(n):
    pathlib.Path(f"nap-{n}").touch()
    time.sleep(0.05)
    return n

@runtime.function("naps")
def naps(n):
    return sum(step.options(effect="read")(nap, i) for i in range(n))

@tool(approval=True)
def pay(amount):
    return amount

runtime.function("pay")(lambda amount: pay(amount))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    return tmp_path


def ended(one):
    out, err = one.communicate(timeout=60)
    return one.returncode, out, err


def test_from_start_to_approval_through_processes_alone(folder, process, database_url):
    def durable(*words):
        code, out, err = ended(process(*words, "--db", database_url, "--json"))
        assert code == 0, err
        return json.loads(out)

    durable("start", "pay", "--input", '{"amount": 3}', "--id", "x")
    worker = process("worker", "app:runtime", "--poll", "0.05", "--db", database_url, "--json")
    with Runtime(database_url) as watching:
        until(lambda: watching.get("x").status == "suspended")
        (asked,) = durable("approvals", "list")
        durable("approvals", "approve", asked["id"], "--by", "alice")
        until(lambda: watching.get("x").status == "succeeded")
    assert durable("show", "x")["output"] == 3
    assert durable("history", "x", "--verify")["verified"]["length"] == 11
    assert durable("db", "check")["problems"] == []
    assert durable("doctor")["ok"] is True
    worker.send_signal(signal.SIGTERM)
    code, out, err = ended(worker)
    assert (code, err) == (0, "")
    assert json.loads(out)["apps"] == ["naps", "pay"]


def test_sigterm_lets_a_busy_worker_finish_its_step_and_give_the_execution_back(folder, process, sqlite_url):
    with Runtime(sqlite_url) as watching:
        watching.start("naps", {"n": 1000}, id="x")
        worker = process("worker", "app:make", "--concurrency", "1", "--db", sqlite_url)
        until(lambda: (folder / "nap-3").exists())
        worker.send_signal(signal.SIGTERM)
        code, out, err = ended(worker)
        assert (code, err) == (0, "")
        assert out.startswith("worker ")
        found = watching.get("x")
        assert found.status == "pending"
        assert found.history()[-1].meta["event"] == "released"
        assert found.execution().lease_owner is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["worker", "nowhere:runtime"], "there is no module 'nowhere'"),
        (["worker", "app:nothere"], "app has no 'nothere'; runtimes in it: runtime, nothing"),
        (["worker", "app"], "is not of the form module:attribute"),
        (["worker", "app:number"], "is a int, not a durable.Runtime"),
        (["worker", "app:nap"], "is a function, not a durable.Runtime"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(folder, process, sqlite_url, words, said):
    code, out, err = ended(process(*words, DURABLE_URL=sqlite_url))
    assert (code, out) == (2, "")
    assert said in " ".join(err.replace("│", " ").split())


def test_a_worker_without_apps_or_in_another_namespace_is_refused(folder, process, sqlite_url):
    code, _, err = ended(process("worker", "app:nothing", "--db", sqlite_url))
    assert (code, err.startswith("durable: app:nothing has no apps")) == (1, True)
    code, _, err = ended(process("worker", "app:runtime", "--namespace", "other", "--db", sqlite_url))
    assert (code, err) == (1, "durable: app:runtime works in namespace 'default', not in 'other'\n")


def test_start_with_the_runtime_of_the_app_refuses_a_name_it_does_not_know(folder, process, sqlite_url):
    words = ["--app", "app:runtime", "--db", sqlite_url]
    code, out, _ = ended(process("start", "naps", "--input", '{"n": 1}', "--id", "x", *words))
    assert (code, out) == (0, "x pending\n")
    code, _, err = ended(process("start", "knaps", *words))
    assert (code, err.startswith("durable: no app named 'knaps'")) == (1, True)


def test_the_database_comes_from_the_environment(folder, process, sqlite_url):
    code, out, _ = ended(process("start", "naps", "--id", "x", DURABLE_URL=sqlite_url))
    assert (code, out) == (0, "x pending\n")
    assert ended(process("list", DURABLE_URL=sqlite_url))[1].splitlines()[2].startswith("x ")
    assert ended(process("list"))[0] == 1  # nothing is in this folder, and nothing is made here
    assert not (folder / "durable.db").exists()


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"NO_COLOR": "", "TERM": "dumb"}])
def test_a_pipe_gets_no_colour_and_whole_ids(folder, process, sqlite_url, environment):
    long_id = "x" * 120
    with Runtime(sqlite_url) as runtime:
        runtime.start("naps", {"n": 1}, id=long_id)
    out = ended(process("list", "--db", sqlite_url, COLUMNS="", **environment))[1]
    assert long_id in out
    assert "\x1b" not in out


def test_a_reader_that_goes_away_is_no_traceback(folder, process, sqlite_url):
    with Runtime(sqlite_url) as runtime:
        for number in range(300):
            runtime.start("naps", {"n": 1}, id=f"{number}-" + "x" * 200)
    one = process("list", "--limit", "300", "--db", sqlite_url)
    one.stdout.close()
    assert "Traceback" not in one.stderr.read()


def test_a_terminal_that_knows_only_ascii_gets_ascii(folder, process, sqlite_url):
    with Runtime(sqlite_url) as runtime:
        runtime.start("naps", {"n": 1}, id="größe-日本")
    code, out, _ = ended(process("list", "--db", sqlite_url, PYTHONIOENCODING="ascii"))
    assert code == 0
    assert "gr\\xf6" in out


def test_every_verb_has_db_namespace_and_json_and_a_sentence(process):
    verbs = ["worker", "start", "list", "show", "history", "cancel", "retry", "resolve", "doctor", "db upgrade"]
    verbs += ["db check", *(f"approvals {verb}" for verb in ("list", "approve", "edit", "reject", "respond"))]
    for verb in verbs:
        code, out, _ = ended(process(*verb.split(), "--help"))
        assert code == 0
        assert all(option in out for option in ("--db", "--namespace", "--json")), verb


def test_the_command_line_is_imported_by_nobody_else():
    code = (
        "import durable, durable.worker, durable.telemetry, sys; print('typer' in sys.modules, 'rich' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
