"""Executions: what every adapter promises of one that is named, repeated, streamed, waits or is cancelled."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from durable.declare.policy import ToolPolicy
from durable.errors import ExecutionCancelled, ExecutionConflict, ThreadBusy
from durable.inbox.decision import Decision
from durable.live.scope import current
from durable.run.tool import tool
from durable.testing.desk import pay_and_note
from durable.testing.fixture import Entry
from durable.testing.outside import Outside
from durable.testing.processes import Death, Moment, killed
from durable.testing.script import NOTE, PAY, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.testing.desk import Desk

    Making = Callable[..., Desk]

CAREFUL: dict[str, Any] = {"policies": {"pay": ToolPolicy(approval=True)}}


class Executions:
    """Tests; ``desk`` makes an agent on a new database."""

    def test_a_named_execution_that_is_repeated_pays_once_and_asks_no_model(self, desk: Making) -> None:
        agent = desk([PAY]).process()
        assert [agent.run(), agent.process().run(), agent.run()] == [WORDS] * 3
        assert agent.outside.counts() == {"pay 20 for A": 1}
        assert agent.script.asked == [0, 1]

    def test_a_named_execution_is_never_answered_by_another_one_of_its_thread(self, desk: Making) -> None:
        agent = desk([PAY])
        killed_inside(agent, Moment("before pay 20 for A"))
        second, agent = Entry(), agent.process()
        for _ in range(2):
            try:
                agent.run(second)
            except ThreadBusy:
                continue
            assert agent.handle(second).status == "succeeded"
        for entry in (agent.entry, second):
            paid = [line["key"] for line in agent.outside.lines("arrived")]
            assert len(paid) == len(set(paid)) <= 1, entry

    def test_the_same_id_with_another_thread_or_input_is_refused_or_the_same(self, desk: Making) -> None:
        agent = desk([PAY]).process()
        agent.run()
        with contextlib.suppress(ExecutionConflict, ThreadBusy):
            agent.run(replace(agent.entry, thread="elsewhere"))
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
        (question,) = agent.process().open().values()
        agent.runtime.decide(question.id, Decision.approve(), by="fay")
        agent.processes.close()
        assert agent.process().run() == WORDS

    def test_a_cancelled_execution_starts_nothing_more(self, desk: Making) -> None:
        agent = desk([PAY], **CAREFUL).process()
        agent.run()
        (question,) = agent.open().values()
        agent.handle().cancel("no longer needed")
        agent.process()
        with pytest.raises(ExecutionCancelled):
            agent.run()
        agent.runtime.recover()
        assert (agent.handle().status, agent.outside.counts()) == ("cancelled", {})
        assert agent.runtime.interrupt(question.id).status == "cancelled"

    def test_an_execution_that_is_cancelled_in_a_call_ends_behind_it(self, desk: Making) -> None:
        def cancelling(desk: Desk) -> list[Callable[..., Any]]:
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

    @pytest.mark.parametrize(
        ("answer", "record"),
        [
            (Decision.happened("paid"), "step_done"),
            (Decision.did_not_happen(), "step_failed"),
            (Decision.cancel(), None),
        ],
        ids=["happened", "did not", "cancel"],
    )
    def test_a_doubt_outlives_new_words_and_a_cancellation(
        self, desk: Making, answer: Decision, record: str | None
    ) -> None:
        agent = desk([PAY])
        killed_inside(agent, Moment("before pay 20 for A"))
        agent.process().runtime.recover()
        (doubt,) = agent.open().values()
        assert doubt.kind == "in_doubt"
        agent.run(Entry())
        agent.handle().cancel("no longer needed")
        assert (agent.handle().status, agent.runtime.interrupt(doubt.id).status) == ("suspended", "open")
        agent.runtime.decide(doubt.id, answer, by="fay")
        assert agent.handle().status == "cancelled"
        outcomes = [one.kind for one in agent.handle().history() if one.step_key == doubt.step_key]
        assert outcomes[-1] == (record or "interrupt_closed")


def killed_inside(desk: Desk, moment: Moment) -> None:
    """Run the agent in a process that is killed at this moment."""

    def work() -> None:
        death = Death(moment)
        desk.outside = Outside(desk.outside.path, death.point)
        desk.process(point=death.point).run()

    assert killed(work), "the process came to its end"
