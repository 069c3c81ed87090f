"""What was edited in the database is noticed by those who act on it: at the claim, at the decision, by ``db check``."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from durable import ArgumentsChanged, Decision, Runtime, ask, tool
from durable.checkpoint import health
from durable.errors import JournalCorrupt


@pytest.fixture
def ran():
    return []


@pytest.fixture
def runtime(database_url, ran):
    with Runtime(database_url) as runtime:

        @tool(effect="once")
        def credit(limit: int) -> str:
            ran.append("credit")
            return f"limit {limit}"

        @tool(effect="once", approval=True)
        def pay(to: str) -> str:
            ran.append(f"pay {to}")
            return f"paid {to}"

        runtime.function("app")(lambda: [credit(100), ask("go on?"), pay("bob")])
        runtime.run("app", id="e")
        yield runtime


def edit(runtime, statement, **values):
    with runtime.database.write() as connection:
        assert connection.execute(text(statement), values).rowcount > 0


def payload(runtime, seq):
    with runtime.database.read() as connection:
        return bytes(
            connection.execute(text("SELECT payload FROM journal WHERE seq = :seq"), {"seq": seq}).scalar_one()
        )


def forge_a_result(runtime):
    [done] = [record for record in runtime.get("e").history() if record.kind == "step_done"]
    forged = payload(runtime, done.seq).replace(b"limit 100", b"limit 999")
    edit(runtime, "UPDATE journal SET payload = :forged WHERE seq = :seq", forged=forged, seq=done.seq)


def cut_the_end(runtime):
    edit(runtime, "DELETE FROM journal WHERE seq > 1")


def cut_behind_the_claim(runtime):
    edit(runtime, "DELETE FROM journal WHERE seq > 2")


def cut_the_middle(runtime):
    edit(runtime, "DELETE FROM journal WHERE seq = 3")


def swap_two(runtime):
    third, fourth = payload(runtime, 3), payload(runtime, 4)
    edit(runtime, "UPDATE journal SET payload = :other WHERE seq = 3", other=fourth)
    edit(runtime, "UPDATE journal SET payload = :other WHERE seq = 4", other=third)


@pytest.mark.parametrize("tamper", [forge_a_result, cut_the_end, cut_behind_the_claim, cut_the_middle, swap_two])
def test_a_journal_that_does_not_fit_is_not_driven(runtime, ran, tamper):
    [question] = runtime.interrupts()
    runtime.decide(question.id, Decision.respond("yes"), by="ann")
    tamper(runtime)
    assert runtime.recover() == []
    execution = runtime.get("e").execution()
    assert (execution.status, execution.error["type"], ran) == ("dead", "JournalCorrupt", ["credit"])
    if tamper is not cut_behind_the_claim:  # a chain that ends with a claim is sound in itself
        with pytest.raises(JournalCorrupt):
            runtime.get("e").verify()
        assert any("'e'" in problem for problem in health.problems(runtime.database))


def test_the_others_of_a_worker_go_on(runtime):
    for name in ("f", "g"):
        runtime.run("app", id=name)
    for question in runtime.interrupts():
        runtime.decide(question.id, Decision.respond("yes"), by="ann")
    edit(runtime, "DELETE FROM journal WHERE seq = 3 AND execution_id = 'f'")
    assert {result.id for result in runtime.recover()} == {"e", "g"}


def change_the_question(runtime, execution_id="e"):
    [question] = [asked for asked in runtime.interrupts() if asked.execution_id == execution_id]
    forged = bytes(question.stored_subject).replace(b"bob", b"eve")
    edit(runtime, "UPDATE interrupts SET subject = :forged WHERE id = :id", forged=forged, id=question.id)
    return question


def asked_to_pay(runtime):
    [question] = runtime.interrupts()
    runtime.decide(question.id, Decision.respond("yes"), by="ann")
    runtime.run("app", id="e")


def test_a_question_that_was_edited_is_not_decided_upon(runtime, ran):
    asked_to_pay(runtime)
    question = change_the_question(runtime)
    with pytest.raises(ArgumentsChanged, match="edited"):
        runtime.decide(question.id, Decision.approve(), by="ann")
    assert ran == ["credit"]


def test_a_question_that_is_edited_after_the_decision_is_asked_again(runtime, ran):
    asked_to_pay(runtime)
    [question] = runtime.interrupts()
    runtime.decide(question.id, Decision.approve(), by="ann")
    forged = bytes(question.stored_subject).replace(b"bob", b"eve")
    edit(runtime, "UPDATE interrupts SET subject = :forged WHERE id = :id", forged=forged, id=question.id)
    assert runtime.run("app", id="e").status == "suspended"
    [again] = runtime.interrupts()
    assert (again.arguments, again.id != question.id, ran) == ({"to": "bob"}, True, ["credit"])
