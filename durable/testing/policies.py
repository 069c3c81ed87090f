"""Policies: what every adapter promises of rules, budgets, rates, retries, dependencies and compensation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from durable.declare.budget import Budget
from durable.declare.policy import Approval, ToolPolicy
from durable.declare.rate import Rate
from durable.declare.retry import Retry
from durable.inbox.decision import Decision
from durable.testing.cases import HOUR
from durable.testing.script import DEAR, NOTE, PAY, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.testing.desk import Desk
    from durable.testing.fixture import AdapterFixture

    Making = Callable[..., Desk]


class Policies:
    """Tests; ``desk`` makes an agent on a new database."""

    fixture: ClassVar[AdapterFixture]

    def test_the_agent_is_told_what_is_not_allowed_and_goes_on(self, desk: Making) -> None:
        rule = "arguments.amount <= 100 && agent == 'desk' && app == 'desk'"
        rules = {
            "agent:desk/pay": ToolPolicy(allowed_when=rule),
            "agent:other/pay": ToolPolicy(allowed_when="false"),
            "app:desk/pay": ToolPolicy(approval=True),
        }
        agent = desk([PAY], [DEAR], policies=rules).process()
        assert agent.run() == WORDS
        assert "paid 20" in agent.script.results["c1"]
        assert "the policy allows this call only where" in agent.script.results["c2"]
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
        (question,) = agent.runtime.interrupts()
        used = question.subject["used"]
        assert (used["tool_calls"], used["model_calls"]) == (1, 2)
        assert agent.outside.counts() == {"pay 20 for A": 1}
        agent.runtime.decide(question.id, Decision.approve(), by="fay")
        agent.process().runtime.recover()
        assert agent.handle().status == "succeeded"
        assert agent.outside.counts() == {"pay 20 for A": 1, "pay 900 for B": 1}

    def test_a_person_is_asked_before_a_model_is(self, desk: Making) -> None:
        agent = desk([PAY], budget=Budget(model_calls=1, approval=True)).process()
        assert agent.run() is None
        (question,) = agent.runtime.interrupts()
        assert question.rule == "budget: model_calls: 1 of 1"
        agent.runtime.decide(question.id, Decision.approve(), by="fay")
        agent.process().runtime.recover()
        assert (agent.handle().status, agent.script.asked) == ("succeeded", [0, 1])

    def test_past_its_budget_an_execution_fails_whatever_the_framework_makes_of_it(self, desk: Making) -> None:
        agent = desk([PAY], [DEAR], budget=Budget(tool_calls=1)).process()
        with pytest.raises(Exception, match="has used up its budget"):
            agent.run()
        assert (agent.handle().execution().error or {})["type"] == "BudgetExceeded"
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
        agent.script.failures = {0: 1}
        answer = agent.stream() if streamed else agent.run()
        assert "".join(answer or []) == WORDS
        assert agent.handle().status == "succeeded"
        assert agent.outside.counts() == {"pay 20 for A": 1}

    def test_a_dependency_that_is_not_up_yet_makes_the_call_wait(self, desk: Making) -> None:
        tries = []

        def database() -> str:
            tries.append(1)
            if len(tries) == 1:
                raise OSError
            return "up"

        agent = desk([PAY], dependencies={"database": database}).process()
        assert (agent.run(), agent.outside.counts()) == (None, {})
        assert agent.handle().status == "suspended"
        agent.processes.now += HOUR
        agent.process().runtime.recover()
        assert (agent.handle().status, agent.outside.counts()) == ("succeeded", {"pay 20 for A": 1})

    def test_what_was_done_is_undone_by_another_process_that_cancels(self, desk: Making) -> None:
        undone: list[str] = []
        agent = desk([PAY], [DEAR], [NOTE], policies=undoing(undone)).process()
        assert agent.run() is None
        agent.process().handle().cancel("no trip", compensate=True)
        assert (undone, agent.handle().status, agent.runtime.interrupts()) == (["B", "A"], "cancelled", [])
        assert agent.handle().verify()

    def test_a_failed_execution_is_undone_where_the_runtime_says_so_and_raises_what_it_raised(
        self, desk: Making
    ) -> None:
        undone: list[str] = []
        agent = desk([PAY], [DEAR], policies=undoing(undone), compensate=True).process()
        agent.script.failures = {2: 1}
        with pytest.raises(Exception, match="cannot be reached"):
            agent.run()
        assert (undone, agent.handle().status) == (["B", "A"], "failed")
        assert "cannot be reached" in (agent.handle().execution().error or {})["message"]
        assert agent.handle().history()[-1].meta["compensated"] == ["pay", "pay"]


def undoing(undone: list[str]) -> dict[str, ToolPolicy]:
    """Return policies by which payments can be undone, and notes need a person."""

    def undo(arguments: Any, _: Any) -> None:
        undone.append(arguments["order"])

    return {"pay": ToolPolicy(compensate=undo), "note": ToolPolicy(approval=True)}
