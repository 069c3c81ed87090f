"""The suite: what every adapter promises, as tests of one fixture.

    TestMyFramework = adapter_suite(MyFramework(), postgres="postgresql://...")

Each test has a database of its own: a SQLite file and, where a url is given, a namespace of the PostgreSQL database.
Processes that die are forked from this one and killed with SIGKILL.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from durable.declare.policy import ToolPolicy
from durable.testing import kills
from durable.testing.cases import CASES, ROLES, Case
from durable.testing.desk import Desk
from durable.testing.executions import Executions
from durable.testing.outside import Outside
from durable.testing.play import Play
from durable.testing.policies import Policies
from durable.testing.processes import START, Moment, Processes, sqlite_template
from durable.testing.script import Call, Script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from durable.testing.fixture import AdapterFixture


def adapter_suite(fixture: AdapterFixture, *, postgres: str | Callable[[], str] | None = None) -> type[AdapterSuite]:
    """Return a class of tests for pytest, to be given a name that begins with ``Test``.

    ``postgres`` is the url of a database, or a function that returns it and is called when the first test needs it.
    """
    urls = {} if postgres is None else {"postgres": postgres if callable(postgres) else partial(str, postgres)}
    return type(f"Test{type(fixture).__name__}", (AdapterSuite,), {"fixture": fixture, "urls": urls})


Making = Callable[..., Desk]


class AdapterSuite(Executions, Policies):
    """The tests. ``desk`` makes the agent of a test on a new database."""

    fixture: ClassVar[AdapterFixture]
    urls: ClassVar[Mapping[str, Callable[[], str]]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each test its databases, and the table its cases."""
        backends = ["sqlite", *self.urls]
        if "case" in metafunc.fixturenames:
            rows = [
                pytest.param(case, backend, id=f"{case.name}: {backend}")
                for case in CASES
                if case.altered in {None, self.fixture.altered}
                for backend in (backends if case.on_postgres else ["sqlite"])
            ]
            metafunc.parametrize(("case", "processes"), rows, indirect=["processes"])
        elif "processes" in metafunc.fixturenames:
            metafunc.parametrize("processes", ["sqlite"], indirect=True)
        elif "label" in metafunc.fixturenames:
            lives = [(label, False, "sqlite") for label in kills.LABELS]
            lives += [(label, True, "sqlite") for label in kills.LABELS[-2:]]
            lives += [("after charge", False, backend) for backend in self.urls]
            rows = [pytest.param(*life, id=f"{life[0]}{' streamed' * life[1]}: {life[2]}") for life in lives]
            metafunc.parametrize(("label", "streamed", "backend"), rows)

    @pytest.fixture
    def processes(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
        """Return the processes of one test."""
        processes = self.place(request.param, tmp_path)
        yield processes
        processes.close()

    def place(self, backend: str, folder: Path) -> Processes:
        """Return processes on a new SQLite file, or in a new namespace of PostgreSQL."""
        if backend in self.urls:
            return Processes(self.urls[backend](), f"suite-{uuid.uuid4().hex}")
        return Processes(f"sqlite:///{shutil.copy(sqlite_template(), folder / 'durable.db')}")

    @pytest.fixture
    def desk(self, processes: Processes, tmp_path: Path) -> Making:
        """Return a function that makes an agent whose model makes these calls, turn by turn."""
        outside = Outside(tmp_path / "outside")

        def make(*turns: Sequence[Call], tools: Any = None, **options: Any) -> Desk:
            return Desk(self.fixture, processes, outside, Script(outside, turns), options, tools=tools)

        return make

    def test_governance(self, case: Case, desk: Making) -> None:
        policies = {"pay": ToolPolicy(approval=case.gate)}
        Play(case, desk(case.calls, policies=policies, roles=ROLES)).perform()

    @pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
    def test_an_agent_that_nothing_disturbs_does_each_thing_once(self, desk: Making, *, streamed: bool) -> None:
        kills.undisturbed(desk(*kills.TURNS, tools=kills.four_tools, policies=kills.POLICIES), streamed=streamed)

    def test_killed_behind_any_commit_it_is_recovered_as_if_nothing_had_happened(
        self, label: str, backend: str, tmp_path: Path, *, streamed: bool
    ) -> None:
        for commits in count(1 if label == START else 0):
            folder = tmp_path / str(commits)
            folder.mkdir()
            processes, outside = self.place(backend, folder), Outside(folder / "outside")
            script = Script(outside, kills.TURNS)
            desk = Desk(self.fixture, processes, outside, script, {"policies": kills.POLICIES}, tools=kills.four_tools)
            died = kills.kill_and_recover(desk, Moment(label, commits), streamed=streamed)
            processes.close()
            if not died:
                break
        assert label != START or commits > len(kills.TURNS), "hardly any commit is seen"
