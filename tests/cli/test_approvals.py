"""approvals list, approve, edit, reject, respond; resolve."""

from __future__ import annotations

import pytest

from durable import Approval, ask, step, tool
from durable.run.calls import Step
from tests.cli.conftest import ENVIRONMENT, Order
from tests.world import DAY, World, crashed

INTERRUPT_KEYS = [
    "id",
    "namespace",
    "execution_id",
    "step_key",
    "kind",
    "status",
    "tool",
    "subject",
    "arguments",
    "arguments_hash",
    "rule",
    "required",
    "decision",
    "decided_by",
    "decided_at",
    "comment",
    "expires_at",
    "created_at",
    "votes",
    "approvers",
    "delegations",
]


@pytest.fixture
def waiting(runtime):
    """The id of an interrupt: may 10 be paid for order 7?"""
    return runtime.run("pay", {"order": 7, "amount": 10}, id="x").interrupts[0].id


def test_the_inbox_shows_the_tool_and_its_arguments(durable, document, waiting):
    assert 'pay {"order": 7, "amount": 10}' in durable("approvals", "list").stdout
    (found,) = document("approvals", "list")
    assert list(found) == INTERRUPT_KEYS
    assert (found["id"], found["kind"], found["tool"], found["execution_id"]) == (waiting, "approval", "pay", "x")
    assert found["arguments"] == {"order": 7, "amount": 10}


def test_an_approved_call_runs_once_and_the_history_says_who(durable, document, runtime, waiting):
    said = durable("approvals", "approve", waiting, "--by", "alice", "--comment", "fine").stdout
    assert said == f"{waiting}: approve by alice; execution x goes on as soon as a worker claims it\n"
    assert [result.output for result in runtime.recover()] == [{"paid": 10}]
    (found,) = document("approvals", "list", "--status", "all")
    assert (found["status"], found["decided_by"], found["comment"]) == ("consumed", "alice", "fine")


def test_a_role_is_said_where_the_policy_asks_for_one(durable, document, runtime):
    gate = Approval(approvers=("role:finance",), quorum=2)

    @runtime.function("gated")
    def gated():
        return tool(approval=gate)(lambda: "paid")()

    (question,) = runtime.run("gated", id="y").interrupts
    assert "role:finance; 2 must agree" in " ".join(durable("approvals", "list").stdout.split())
    refused = durable("approvals", "approve", question.id, "--by", "bob", status=1)
    assert "'bob' may not decide" in refused.stderr
    first = durable("approvals", "approve", question.id, "--by", "fay", "--role", "finance").stdout
    assert "waits for the others" in first
    durable("approvals", "approve", question.id, "--by", "fred", "--role", "audit", "--role", "finance")
    (found,) = document("approvals", "list", "--status", "all")
    assert [vote["by"] for vote in found["votes"]] == ["bob", "fay", "fred"]
    assert [result.output for result in runtime.recover()] == ["paid"]


def test_a_decision_is_handed_to_another_person(durable, document, waiting):
    told = document("approvals", "delegate", waiting, "--to", "bob", "--by", "alice", "--comment", "on leave")
    assert [(one["by"], one["to"], one["comment"]) for one in told["delegations"]] == [("alice", "bob", "on leave")]
    assert "alice handed it to bob" in durable("approvals", "list").output
    assert "was handed to bob" in durable("approvals", "approve", waiting, "--by", "alice", status=1).output
    durable("approvals", "approve", waiting, "--by", "bob")


def test_an_edited_call_runs_with_the_new_arguments(durable, runtime, waiting):
    durable("approvals", "edit", waiting, '{"order": 7, "amount": 5}')
    assert [result.output for result in runtime.recover()] == [{"paid": 5}]


def test_edited_arguments_must_be_those_of_the_call(durable, waiting):
    assert "missing: ['amount']" in durable("approvals", "edit", waiting, '{"order": 7}', status=1).stderr
    assert "a JSON object" in durable("approvals", "edit", waiting, "[7]", status=2).stderr


def test_a_rejection_needs_a_reason_and_the_agent_is_told_it(durable, runtime, waiting):
    assert durable("approvals", "reject", waiting, status=2).stdout == ""
    assert "needs a reason" in durable("approvals", "reject", waiting, "--reason", " ", status=1).stderr
    durable("approvals", "reject", waiting, "--reason", "too much")
    assert [result.error["message"] for result in runtime.recover()] == ["pay was rejected: too much"]


def test_a_response_is_the_result_of_the_call_that_is_not_run(durable, runtime, waiting):
    durable("approvals", "respond", waiting, '{"paid": "by hand"}')
    assert [result.output for result in runtime.recover()] == [{"paid": "by hand"}]


def test_a_question_is_answered_from_its_choices(durable, document, runtime):
    runtime.function("which")(lambda: ask("which one?", choices=("a", "b")))
    (asked,) = runtime.run("which", id="q").interrupts
    assert 'which one? ["a", "b"]' in durable("approvals", "list").stdout
    assert "does not fit the question's schema" in durable("approvals", "respond", asked.id, '"c"', status=1).stderr
    assert "is not JSON" in durable("approvals", "respond", asked.id, "a", status=2).stderr
    assert document("approvals", "respond", asked.id, '"a"')["counts"] is True
    assert [result.output for result in runtime.recover()] == ["a"]


def test_the_first_decision_counts_and_the_same_again_is_no_error(durable, document, waiting):
    assert document("approvals", "approve", waiting, "--by", "alice")["counts"] is True
    assert document("approvals", "approve", waiting, "--by", "alice")["counts"] is False
    assert "(as before)" in durable("approvals", "approve", waiting, "--by", "alice").stdout
    refused = durable("approvals", "reject", waiting, "--reason", "no", "--by", "bob", status=1)
    assert refused.stderr == f"durable: interrupt {waiting!r} is already decided by alice\n"


def test_who_decides_is_the_user_or_must_be_said(durable, document, waiting):
    nobody = {**ENVIRONMENT, "USER": "", "LOGNAME": ""}
    assert "--by NAME" in durable("approvals", "approve", waiting, status=2, environment=nobody).stderr
    assert document("approvals", "approve", waiting)["decided_by"] == "tester"


def test_the_inbox_is_filtered(document, runtime, waiting):
    runtime.run("pay", {"order": 8}, id="y")
    assert len(document("approvals", "list")) == 2
    assert [one["execution_id"] for one in document("approvals", "list", "--execution", "y")] == ["y"]
    assert len(document("approvals", "list", "--tool", "pay", "--kind", "approval", "--limit", "1")) == 1
    assert document("approvals", "list", "--kind", "drift") == []
    assert document("approvals", "list", "--status", "decided") == []


@pytest.mark.parametrize("words", [["--status", "done"], ["--kind", "doubt"]])
def test_an_unknown_filter_is_wrong_usage(durable, runtime, words):
    assert "is not one of" in durable("approvals", "list", *words, status=2).stderr


def test_an_empty_inbox_says_so(durable, runtime):
    assert durable("approvals", "list").stdout == "nothing waits for a decision\n"


def test_an_unknown_interrupt_is_refused(durable, runtime):
    assert "no interrupt 'int-none'" in durable("approvals", "approve", "int-none", status=1).stderr


def test_a_call_with_arguments_of_an_unknown_type_can_be_decided(durable, document, runtime):
    (asked,) = runtime.run("pay", {"order": Order(7), "amount": 1}, id="typed").interrupts
    assert document("approvals", "list")[0]["arguments"]["order"]["number"] == 7
    durable("approvals", "approve", asked.id)
    assert [result.output for result in runtime.recover()] == [{"paid": 1}]


@pytest.fixture
def doubt(url):
    """A world in which ``notify`` was started, and the process died in it."""
    world = World(url)

    def process(body, later=0.0):
        runtime = world.process(later=later)
        runtime.function("app")(lambda: step(body))
        return runtime

    def notify():
        world.die()

    first = process(notify)
    crashed(lambda: first.run("app", id="d"))
    second = process(lambda: "again", later=DAY)
    second.function("app")(lambda: Step()(_named("notify", lambda: "again")))
    (asked,) = second.run("app", id="d").interrupts
    assert asked.kind == "in_doubt"
    yield asked.id, second
    world.close()


def _named(name, body):
    body.__name__ = name
    return body


@pytest.mark.parametrize(
    ("words", "output"),
    [(["--happened", "--result", '"sent"'], "sent"), (["--happened"], None), (["--did-not-happen"], "again")],
)
def test_a_doubt_is_settled_by_a_person(durable, doubt, words, output):
    asked, runtime = doubt
    assert "did it happen? notify" in durable("approvals", "list").stdout
    durable("resolve", asked, *words)
    result = runtime.run("app", id="d")
    assert (result.status, result.output) == ("succeeded", output)


def test_a_doubt_may_end_the_execution(durable, doubt):
    asked, runtime = doubt
    durable("resolve", asked, "--cancel", "--reason", "too old")
    assert runtime.run("app", id="d").error == {"type": "Cancelled", "message": "too old"}


@pytest.mark.parametrize("words", [[], ["--happened", "--did-not-happen"], ["--cancel", "--approve"]])
def test_resolve_takes_exactly_one_answer(durable, doubt, words):
    assert "exactly one of" in durable("resolve", doubt[0], *words, status=2).stderr.replace("\n│ ", " ")


def test_resolve_refuses_an_answer_that_does_not_fit(durable, waiting, doubt):
    assert "does not answer" in durable("resolve", waiting, "--happened", status=1).stderr
    assert "does not answer" in durable("resolve", doubt[0], "--approve", status=1).stderr


def test_a_drift_is_accepted_or_ends_the_execution(durable, document, runtime):
    gated = tool(approval=True)(abs)

    def version(number):
        runtime.function("app")(lambda: (step.options(effect="read")(abs, number), step(gated, 1))[1])
        return runtime.run("app", id="x")

    (approval,) = version(1).interrupts
    durable("approvals", "approve", approval.id)
    (drift,) = [one for one in version(2).interrupts if one.kind == "drift"]
    assert '"arguments_hash"' in durable("approvals", "list", "--kind", "drift").stdout
    assert document("resolve", drift.id, "--approve")["counts"] is True
    assert version(2).status == "succeeded"
