"""An answer that comes in the moment of its question wakes the execution; rows that contradict each other are found."""

from __future__ import annotations

from sqlalchemy import text

from durable import Decision, Runtime, ask
from durable.checkpoint import health
from durable.telemetry import Telemetry


class Prompt(Telemetry):
    """A person who answers in the moment in which the question is opened."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def interrupt_opened(self, segment, interrupt_id, kind, step_key):
        super().interrupt_opened(segment, interrupt_id, kind, step_key)
        self.answer(interrupt_id)


def test_an_answer_in_the_moment_of_the_question_wakes_the_execution(database_url):
    with Runtime(database_url) as desk:
        prompt = Prompt(lambda asked: desk.decide(asked, Decision.respond("blue"), by="a program"))
        with Runtime(database_url, telemetry=prompt) as runtime:
            runtime.function("app")(lambda: ask("Which color?"))
            runtime.start("app", id="e")
            assert [result.output for result in runtime.recover()][-1] == "blue"


def test_a_decided_execution_that_sleeps_without_a_time_is_told_and_woken(database_url):
    """As version 0.1 could leave one behind."""
    with Runtime(database_url) as runtime:
        runtime.function("app")(lambda: ask("Which color?"))
        runtime.run("app", id="e")
        [asked] = runtime.interrupts()
        runtime.decide(asked.id, Decision.respond("blue"), by="alice")
        with runtime.database.write() as connection:
            connection.execute(text("UPDATE executions SET status = 'suspended', run_after = NULL"))
        assert any(
            "'e'" in problem and "waits for an answer" in problem for problem in health.problems(runtime.database)
        )
        assert [result.output for result in runtime.recover()] == ["blue"]
        assert not list(health.problems(runtime.database))
