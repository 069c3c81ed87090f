"""Fixtures of the command line's tests: ``durable(...)`` runs it here, ``process(...)`` in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from durable import Runtime, step, tool
from durable.cli import app

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"USER": "tester", "NO_COLOR": "1", "COLUMNS": "400"}


@dataclass
class Order:
    """A type that the command line does not know."""

    number: int
    lines: tuple[str, ...] = ()


@pytest.fixture
def url(sqlite_url):
    return sqlite_url


@pytest.fixture
def durable(url):
    """Run ``durable`` on the test's database; ``status`` is the exit code that is expected."""

    def run(*words, status=0, environment=ENVIRONMENT, **options):
        done = CliRunner().invoke(app, [*words, "--db", url], env=environment, **options)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, done.output
        return done

    return run


@pytest.fixture
def document(durable):
    """What ``durable ... --json`` prints."""

    def run(*words, **options):
        return json.loads(durable(*words, "--json", **options).stdout)

    return run


@pytest.fixture
def runtime(url):
    """A process that runs apps on the test's database."""
    with Runtime(url, types=[Order]) as made:

        @tool(effect="once", approval=True)
        def pay(order, amount):
            return {"paid": amount}

        @made.function("pay")
        def pay_app(order, amount=10):
            return pay(order, amount)

        @made.function("add")
        def add(a, b=0):
            return step(abs, a) + step(abs, b)

        @made.function("fail")
        def fail(why):
            raise ValueError(why)

        yield made


@pytest.fixture
def folder(tmp_path):
    """An empty folder, in which the processes of ``process`` run."""
    made = tmp_path / "here"
    made.mkdir()
    return made


@pytest.fixture
def process(folder):
    """Start ``python -m durable`` in a folder of its own; what still runs at the end is killed."""
    started = []

    def run(*words, **environment):
        environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT), **environment}
        command = [sys.executable, "-m", "durable", *words]
        one = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(one)
        return one

    yield run
    for one in started:
        one.kill()
        one.communicate()
