"""The suite: what every adapter promises, as tests of one fixture.

    TestMyFramework = adapter_suite(MyFramework(), postgres="postgresql://...")

Each test has a database of its own: a SQLite file and, where a url is given, a namespace of the PostgreSQL database.
Processes that die are forked from this one and killed with SIGKILL.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from durable.declare.budget import Budget
from durable.declare.policy import Approval, ToolPolicy
from durable.declare.rate import Rate
from durable.declare.retry import Retry
from durable.errors import ExecutionCancelled, ExecutionConflict, ThreadBusy
from durable.inbox.decision import Decision
from durable.live.scope import current
from durable.run.tool import tool
from durable.testing import kills
from durable.testing.cases import CASES, HOUR, ROLES, Case
from durable.testing.desk import Desk, pay_and_note
from durable.testing.fixture import AdapterFixture, Entry
from durable.testing.outside import Outside
from durable.testing.play import Play
from durable.testing.processes import START, Death, Moment, Processes, killed, sqlite_template
from durable.testing.script import WORDS, Call, Script

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PAY, DEAR = Call("c1", "pay", {"order": "A", "amount": 20}), Call("c2", "pay", {"order": "B", "amount": 900})
NOTE = Call("c0", "note", {"text": "hello"})
CAREFUL: dict[str, Any] = {"policies": {"pay": ToolPolicy(approval=True)}}


def adapter_suite(fixture: AdapterFixture, *, postgres: str | Callable[[], str] | None = None) -> type[AdapterSuite]:
    """Return a class of tests for pytest, to be given a name that begins with ``Test``.

    ``postgres`` is the url of a database, or a function that returns it and is called when the first test needs it.
    """
    url = postgres if postgres is None or callable(postgres) else lambda: postgres
    about = {"fixture": fixture, "postgres": None if url is None else staticmethod(url)}
    return type(f"Test{type(fixture).__name__}", (AdapterSuite,), about)


Making = Callable[..., Desk]


class AdapterSuite:
    """The tests. ``desk`` makes the agent of a test on a new database."""

    fixture: ClassVar[AdapterFixture]
    postgres: ClassVar[Callable[[], str] | None]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each test its databases, and the table its cases."""
        backends = ["sqlite"] if self.postgres is None else ["sqlite", "postgres"]
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
            lives = [(label, streamed, "sqlite") for label in kills.LABELS for streamed in (False, True)]
            lives += [("after charge", False, backend) for backend in backends[1:]]
            metafunc.parametrize(
                ("label", "streamed", "backend"), lives, ids=lambda value: {False: "whole", True: "streamed"}.get(value)
            )

    @pytest.fixture
    def processes(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
        """Return the processes of one test."""
        processes = self.place(request.param, tmp_path)
        yield processes
        processes.close()

    def place(self, backend: str, folder: Path) -> Processes:
        """Return processes on a new SQLite file, or in a new namespace of PostgreSQL."""
        if backend == "postgres" and self.postgres is not None:
            return Processes(self.postgres(), f"suite-{uuid.uuid4().hex}")
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
        assert commits > 1, "no commit is seen"

    def test_a_named_execution_that_is_repeated_pays_once_and_asks_no_model(self, desk: Making) -> None:
        agent = desk([PAY]).process()
        assert [agent.run(), agent.process().run(), agent.run()] == [WORDS] * 3
        assert agent.outside.counts() == {"pay 20 for A": 1}
        assert agent.script.asked == [0, 1]

    def test_a_named_execution_is_never_answered_by_another_one_of_its_thread(self, desk: Making) -> None:
        agent = desk([PAY])
        killed_inside(agent, Moment("before pay 20 for A"))
        other, agent = Entry(), agent.process()
        for _ in range(2):
            try:
                agent.run(other)
            except ThreadBusy:
                continue
            assert agent.handle(other).status == "succeeded"
        for entry in (agent.entry, other):
            paid = [line["key"] for line in agent.outside.lines("arrived")]
            assert len(paid) == len(set(paid)) <= 1, entry

    def test_the_same_id_with_another_thread_or_input_is_refused_or_the_same(self, desk: Making) -> None:
        agent = desk([PAY]).process()
        agent.run()
        try:
            agent.run(replace(agent.entry, thread="elsewhere"))
        except (ExecutionConflict, ThreadBusy):
            pass
        assert agent.outside.counts() == {"pay 20 for A": 1}

    def test_what_is_streamed_is_what_is_recorded(self, desk: Making) -> None:
        agent = desk([PAY]).process()
        pieces = agent.stream()
        assert "".join(pieces) == WORDS
        assert agent.outside.counts() == {"pay 20 for A": 1}
        assert "".join(agent.process().stream()) == WORDS
        assert agent.script.asked == [0, 1]

    def test_a_waiting_execution_holds_nothing(self, desk: Making) -> None:
        agent = desk([PAY], **CAREFUL).process()
        assert agent.run() is None
        execution = agent.handle().execution()
        assert (execution.status, execution.lease_owner) == ("suspended", None)
        assert agent.runtime.leases.held() == []
        agent.processes.close()
        (asked,) = agent.process().open().values()
        agent.runtime.decide(asked.id, Decision.approve(), by="fay")
        agent.processes.close()
        assert agent.process().run() == WORDS

    def test_a_cancelled_execution_starts_nothing_more(self, desk: Making) -> None:
        agent = desk([PAY], **CAREFUL).process()
        agent.run()
        (asked,) = agent.open().values()
        agent.handle().cancel("no longer needed")
        agent.process()
        with pytest.raises(ExecutionCancelled):
            agent.run()
        agent.runtime.recover()
        assert (agent.handle().status, agent.outside.counts()) == ("cancelled", {})
        assert agent.runtime.interrupt(asked.id).status == "cancelled"

    def test_an_execution_that_is_cancelled_in_a_call_ends_behind_it(self, desk: Making) -> None:
        def cancelling(desk):
            @tool(effect="once")
            def note(text: str) -> str:
                """Write something down."""
                desk.outside.effect("note", {})
                desk.runtime.get(current().execution_id).cancel("enough")
                return text

            return [pay_and_note(desk)[0], note]

        agent = desk([NOTE], [PAY], tools=cancelling).process()
        with pytest.raises(ExecutionCancelled):
            agent.run()
        assert (agent.handle().status, agent.outside.counts()) == ("cancelled", {"note": 1})

    def test_the_agent_is_told_what_is_not_allowed_and_goes_on(self, desk: Making) -> None:
        rule = "arguments.amount <= 100 && agent == 'desk' && app == 'desk'"
        rules = {
            "agent:desk/pay": ToolPolicy(allowed_when=rule),
            "agent:other/pay": ToolPolicy(allowed_when="false"),
            "app:desk/pay": ToolPolicy(approval=True),
        }
        agent = desk([PAY], [DEAR], policies=rules).process()
        assert agent.run() == WORDS
        assert "paid 20" in agent.script.told["c1"]
        assert "the policy allows this call only where" in agent.script.told["c2"]
        assert agent.outside.counts() == {"pay 20 for A": 1}
        (refused,) = [record for record in agent.handle().history() if "not_allowed" in record.meta]
        assert (refused.kind, refused.meta["name"]) == ("step_failed", "pay")

    def test_a_policy_is_found_by_pattern_as_well_as_by_name(self, desk: Making) -> None:
        agent = desk([PAY], [NOTE], policies={"p*": ToolPolicy(approval=True)}).process()
        agent.run()
        assert [row.tool for row in agent.open().values()] == ["pay"]

    def test_a_person_may_grant_more_than_the_budget(self, desk: Making) -> None:
        budget = Budget(tool_calls=1, approval=Approval(approvers=("fay",)))
        agent = desk([PAY], [DEAR], budget=budget).process()
        assert agent.run() is None
        (asked,) = agent.runtime.interrupts()
        used = asked.subject["used"]
        assert (used["tool_calls"], used["model_calls"]) == (1, 2)
        assert agent.outside.counts() == {"pay 20 for A": 1}
        agent.runtime.decide(asked.id, Decision.approve(), by="fay")
        agent.process().runtime.recover()
        assert agent.handle().status == "succeeded"
        assert agent.outside.counts() == {"pay 20 for A": 1, "pay 900 for B": 1}

    def test_a_person_is_asked_before_a_model_is(self, desk: Making) -> None:
        agent = desk([PAY], budget=Budget(model_calls=1, approval=True)).process()
        assert agent.run() is None
        (asked,) = agent.runtime.interrupts()
        assert asked.rule == "budget: model_calls: 1 of 1"
        agent.runtime.decide(asked.id, Decision.approve(), by="fay")
        agent.process().runtime.recover()
        assert (agent.handle().status, agent.script.asked) == ("succeeded", [0, 1])

    def test_past_its_budget_an_execution_fails_whatever_the_framework_makes_of_it(self, desk: Making) -> None:
        agent = desk([PAY], [DEAR], budget=Budget(tool_calls=1)).process()
        with pytest.raises(Exception, match="has used up its budget"):
            agent.run()
        assert agent.handle().execution().error["type"] == "BudgetExceeded"
        assert agent.outside.counts() == {"pay 20 for A": 1}

    def test_a_call_beyond_the_rate_waits_without_a_worker(self, desk: Making) -> None:
        agent = desk([PAY], [DEAR], policies={"p*": ToolPolicy(rate=Rate(1, per=HOUR))}).process()
        assert agent.run() is None
        execution = agent.handle().execution()
        assert (execution.status, execution.lease_owner) == ("suspended", None)
        assert agent.outside.counts() == {"pay 20 for A": 1}
        agent.processes.now += 2 * HOUR
        agent.process().runtime.recover()
        assert agent.handle().status == "succeeded"

    @pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
    def test_a_model_that_fails_is_asked_again_as_its_policy_says(self, desk: Making, *, streamed: bool) -> None:
        agent = desk(
            [PAY],
            policies={f"chat:{self.fixture.model}": ToolPolicy(effect="read", retry=Retry(attempts=3, initial=0.0))},
        ).process()
        agent.script.failures = 1
        answer = agent.stream() if streamed else agent.run()
        assert "".join(answer or []) == WORDS
        assert agent.handle().status == "succeeded"
        assert agent.outside.counts() == {"pay 20 for A": 1}

    def test_a_dependency_that_is_not_up_yet_makes_the_call_wait(self, desk: Making) -> None:
        tries = []

        def database():
            tries.append(1)
            if len(tries) == 1:
                raise OSError("not up yet")
            return "up"

        agent = desk([PAY], dependencies={"database": database}).process()
        assert (agent.run(), agent.outside.counts()) == (None, {})
        assert agent.handle().status == "suspended"
        agent.processes.now += HOUR
        agent.process().runtime.recover()
        assert (agent.handle().status, agent.outside.counts()) == ("succeeded", {"pay 20 for A": 1})

    def test_what_was_done_is_undone_when_a_waiting_execution_is_cancelled(self, desk: Making) -> None:
        undone = []

        def undo(arguments, result, context):
            undone.append(arguments["order"])

        policies = {"pay": ToolPolicy(compensate=undo), "note": ToolPolicy(approval=True)}
        agent = desk([PAY], [DEAR], [NOTE], policies=policies).process()
        agent.run()
        agent.process().handle().cancel("no trip", compensate=True)
        assert (undone, agent.handle().status, agent.runtime.interrupts()) == (["B", "A"], "cancelled", [])
        assert agent.handle().verify()


def killed_inside(desk: Desk, moment: Moment) -> None:
    """Run the agent in a process that is killed at this moment."""

    def work() -> None:
        death = Death(moment)
        desk.outside = Outside(desk.outside.path, death.point)
        desk.process(point=death.point).run()

    assert killed(work), "the process came to its end"
