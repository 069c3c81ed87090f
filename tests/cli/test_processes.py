"""The command line as processes: a worker that drains, what reaches a pipe, and both databases."""

from __future__ import annotations

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
def folder(folder):
    (folder / "app.py").write_text(APP, encoding="utf-8")
    return folder


def ended(one):
    out, err = one.communicate(timeout=60)
    return one.returncode, out, err


class TestOnBothDatabases:
    @pytest.fixture
    def url(self, database_url):
        return database_url

    def test_from_start_to_approval_with_a_worker_of_its_own(self, folder, process, document, url):
        document("start", "pay", "--input", '{"amount": 3}', "--id", "x")
        worker = process("worker", "app:runtime", "--poll", "0.05", "--db", url, "--json")
        with Runtime(url) as watching:
            until(lambda: watching.get("x").status == "suspended")
            (asked,) = document("approvals", "list")
            document("approvals", "approve", asked["id"], "--by", "alice")
            until(lambda: watching.get("x").status == "succeeded")
        assert document("show", "x")["output"] == 3
        assert document("history", "x", "--verify")["verified"]["length"] == 9
        assert document("db", "check")["problems"] == []
        worker.send_signal(signal.SIGTERM)
        code, out, err = ended(worker)
        assert (code, err) == (0, "")
        assert '"apps": [\n    "naps",\n    "pay"\n  ]' in out


def test_sigterm_lets_a_busy_worker_finish_its_step_and_give_the_execution_back(folder, process, sqlite_url):
    with Runtime(sqlite_url) as watching:
        watching.start("naps", {"n": 1000}, id="x")
        worker = process("worker", "app:make", "--concurrency", "1", "--db", sqlite_url)
        until((folder / "nap-3").exists)
        worker.send_signal(signal.SIGTERM)
        code, out, err = ended(worker)
        assert (code, err) == (0, "")
        assert out.startswith("worker ")
        found = watching.get("x")
        assert found.status == "pending"
        assert found.history()[-1].meta["event"] == "released"
        assert found.execution().lease_owner is None


def test_the_database_comes_from_the_environment_and_none_is_made_by_looking(folder, process, sqlite_url):
    code, out, _ = ended(process("start", "naps", "--id", "x", DURABLE_URL=sqlite_url))
    assert (code, out) == (0, "x pending\n")
    code, _, err = ended(process("list"))
    assert (code, err.startswith("durable: there is no database at durable.db")) == (1, True)
    assert not (folder / "durable.db").exists()


def test_a_pipe_gets_no_colour_and_whole_ids_in_its_own_encoding(folder, process, sqlite_url):
    long_id = "größe-" + "x" * 120
    with Runtime(sqlite_url) as runtime:
        runtime.start("naps", {"n": 1}, id=long_id)
    words = {"COLUMNS": "", "NO_COLOR": "", "PYTHONIOENCODING": "ascii"}
    code, out, err = ended(process("list", "--db", sqlite_url, **words))
    assert (code, err) == (0, "")
    assert long_id.encode("ascii", "backslashreplace").decode() in out
    assert "\x1b" not in out


def test_a_reader_that_goes_away_is_no_traceback(folder, process, sqlite_url):
    with Runtime(sqlite_url) as runtime:
        for number in range(300):
            runtime.start("naps", {"n": 1}, id=f"{number}-" + "x" * 200)
    one = process("list", "--limit", "300", "--db", sqlite_url)
    one.stdout.close()
    assert "Traceback" not in one.stderr.read()


def test_the_command_line_is_imported_by_nobody_else():
    code = "import durable, durable.run.worker, durable.telemetry.telemetry, sys; print('typer' in sys.modules, 'rich' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
