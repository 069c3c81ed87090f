"""Who decides: named persons and roles, several of them, never the one who asked; and who is asked when nobody does."""

from __future__ import annotations

import pytest

from durable import Approval, Decision, tool
from durable.errors import (
    AlreadyDecided,
    ArgumentsChanged,
    DecisionExpired,
    InvalidConfiguration,
    InvalidDecision,
    NotAllowedToDecide,
)
from tests.world import HOUR, LEASE, intact

ROLES = {"fay": ("finance",), "fred": ("finance", "audit"), "olga": ("operations",)}


@pytest.fixture
def gated(world, flavour):
    """A payment under an approval with these terms, asked for by ``requester``: its question and its runtime."""

    def start(approval, *, later=0.0, requester=None, roles=ROLES, by_worker=False):
        runtime = world.process(later=later, roles=roles)

        def pay(amount):
            return world.did(f"paid {amount}")

        paying = tool(approval=approval)(flavour.fn(pay))

        def app():
            try:
                return (yield lambda: paying(500))
            except Exception as exc:
                return str(exc)

        flavour.app(runtime, "app", app)
        tags = {} if requester is None else {"requested_by": requester}
        result = runtime.recover()[0] if by_worker else runtime.run("app", id="a", tags=tags)
        found = result.interrupts
        return runtime, (found[0] if found else None)

    return start


def refused(runtime, question):
    return [(vote["by"], vote["refused"]) for vote in runtime.interrupt(question.id).votes if "refused" in vote]


@pytest.mark.parametrize(
    ("approvers", "yes", "no"),
    [
        (("alice",), "alice", "bob"),
        (("role:finance",), "fred", "olga"),
        (("alice", "role:finance"), "alice", "nobody we know"),
        (("role:finance",), "fay", "role:finance"),
    ],
)
def test_only_the_approvers_decide_and_others_are_kept_as_refused(world, gated, approvers, yes, no):
    runtime, question = gated(Approval(approvers=approvers))
    assert question.terms.approvers == approvers
    with pytest.raises(NotAllowedToDecide, match="finance|alice"):
        runtime.decide(question.id, Decision.approve(), by=no)
    assert runtime.get("a").status == "suspended"
    assert refused(runtime, question) == [(no, "NotAllowedToDecide")]
    assert runtime.decide(question.id, Decision.approve(), by=yes)
    assert runtime.run("app", id="a").output == "paid 500"
    assert world.effects == ["paid 500"]
    intact(runtime.get("a"))


def test_roles_may_come_from_a_directory_of_yours(gated):
    runtime, question = gated(Approval(approvers=("role:finance",)), roles=lambda person: [person.split("@")[1]])
    with pytest.raises(NotAllowedToDecide):
        runtime.decide(question.id, Decision.approve(), by="bob@sales")
    assert runtime.decide(question.id, Decision.approve(), by="bob@finance")


def test_two_persons_must_give_the_same_answer(world, gated):
    runtime, question = gated(Approval(approvers=("role:finance", "olga"), quorum=2))
    assert runtime.decide(question.id, Decision.approve(), by="fay") is True
    assert runtime.decide(question.id, Decision.approve(), by="fay") is False, "nobody is two persons"
    assert runtime.get("a").status == "suspended"
    with pytest.raises(AlreadyDecided, match="fay"):
        runtime.decide(question.id, Decision.edit({"amount": 1}), by="fay")
    assert runtime.decide(question.id, Decision.edit({"amount": 400}), by="olga") is True, "one answer each so far"
    assert runtime.run("app", id="a").status == "suspended"
    assert world.effects == []
    assert runtime.decide(question.id, Decision.edit({"amount": 400}), by="fred") is True
    assert runtime.run("app", id="a").output == "paid 400"
    assert world.effects == ["paid 400"]
    assert [vote["by"] for vote in runtime.interrupt(question.id).votes if "refused" not in vote] == [
        "fay",
        "olga",
        "fred",
    ]


def test_one_of_several_is_enough_to_reject(world, gated):
    runtime, question = gated(Approval(quorum=3))
    runtime.decide(question.id, Decision.approve(), by="alice")
    runtime.decide(question.id, Decision.reject("too much"), by="bob")
    assert runtime.run("app", id="a").output == "pay was rejected: too much"
    with pytest.raises(AlreadyDecided, match="bob"):
        runtime.decide(question.id, Decision.approve(), by="carol")
    assert refused(runtime, question) == [("carol", "AlreadyDecided")]
    assert world.effects == []


def test_whoever_asked_for_it_does_not_decide_on_it(world, gated):
    runtime, question = gated(Approval(), requester="alice")
    with pytest.raises(NotAllowedToDecide, match="asked for"):
        runtime.decide(question.id, Decision.approve(), by="alice")
    assert runtime.decide(question.id, Decision.approve(), by="bob")
    assert runtime.run("app", id="a").output == "paid 500"


def test_whoever_asked_for_it_may_decide_where_the_policy_says_so(gated):
    runtime, question = gated(Approval(requester_may_approve=True), requester="alice")
    assert runtime.decide(question.id, Decision.approve(), by="alice")


def test_a_decision_is_handed_on_and_then_it_is_the_delegates_alone(world, gated):
    runtime, question = gated(Approval(approvers=("role:finance",)), requester="ann")
    runtime.delegate(question.id, to="bob", by="fay", comment="on leave")
    with pytest.raises(NotAllowedToDecide, match="handed to bob"):
        runtime.decide(question.id, Decision.approve(), by="fay")
    runtime.delegate(question.id, to="cleo", by="bob")
    with pytest.raises(NotAllowedToDecide, match="handed to cleo"):
        runtime.decide(question.id, Decision.approve(), by="bob")
    with pytest.raises(NotAllowedToDecide, match="handed to cleo"):
        runtime.delegate(question.id, to="dave", by="bob")
    assert runtime.decide(question.id, Decision.approve(), by="cleo")
    assert runtime.run("app", id="a").output == "paid 500"
    told = runtime.interrupt(question.id).terms.delegations
    assert [(one["by"], one["to"], one["comment"]) for one in told] == [
        ("fay", "bob", "on leave"),
        ("bob", "cleo", None),
    ]
    (closed,) = [record.meta for record in runtime.get("a").history() if record.kind == "interrupt_closed"]
    assert [(one["by"], one["to"]) for one in closed["delegations"]] == [("fay", "bob"), ("bob", "cleo")]
    intact(runtime.get("a"))


def test_handing_on_never_makes_two_voices_of_one(world, gated):
    runtime, question = gated(Approval(approvers=("alice", "carol"), quorum=2), requester="ann")
    for to, wrong in (
        ("ann", NotAllowedToDecide),  # who asked for it
        ("carol", InvalidDecision),  # counts already
        ("alice", InvalidDecision),
    ):
        with pytest.raises(wrong):
            runtime.delegate(question.id, to=to, by="alice")
    with pytest.raises(NotAllowedToDecide):
        runtime.delegate(question.id, to="bob", by="dave")  # not his
    with pytest.raises(NotAllowedToDecide):
        runtime.delegate(question.id, to="bob", by="ann")
    runtime.delegate(question.id, to="bob", by="alice")
    runtime.decide(question.id, Decision.approve(), by="bob")
    for by, to in (("bob", "alice"), ("bob", "erin")):  # has answered: there is nothing left to hand on
        with pytest.raises(AlreadyDecided):
            runtime.delegate(question.id, to=to, by=by)
    with pytest.raises(NotAllowedToDecide):
        runtime.decide(question.id, Decision.approve(), by="alice")
    assert runtime.get("a").status == "suspended"
    assert runtime.decide(question.id, Decision.approve(), by="carol")
    assert runtime.run("app", id="a").output == "paid 500"
    with pytest.raises(AlreadyDecided):
        runtime.delegate(question.id, to="erin", by="carol")
    assert world.effects == ["paid 500"]


def test_it_can_be_handed_back_and_where_anyone_decides_too(gated):
    runtime, question = gated(Approval())
    runtime.delegate(question.id, to="bob", by="alice")
    runtime.delegate(question.id, to="alice", by="bob")
    assert runtime.decide(question.id, Decision.approve(), by="alice")


def test_after_its_time_nothing_is_handed_on(gated):
    _, question = gated(Approval(expires_in=HOUR))
    later, _ = gated(Approval(expires_in=HOUR), later=HOUR + 1)
    with pytest.raises(DecisionExpired):
        later.delegate(question.id, to="bob", by="alice")


def test_each_answer_that_has_no_effect_is_kept_with_its_reason(gated):
    """Repeated, another one, of somebody else, for other arguments: four reasons, four entries, one decision."""
    runtime, question = gated(Approval(approvers=("alice", "bob")))
    for by, arguments_hash, wrong in (("olga", None, NotAllowedToDecide), ("alice", "0" * 64, ArgumentsChanged)):
        with pytest.raises(wrong):
            runtime.decide(question.id, Decision.approve(), by=by, arguments_hash=arguments_hash)
    assert runtime.decide(question.id, Decision.approve(), by="alice", arguments_hash=question.arguments_hash)
    assert runtime.decide(question.id, Decision.approve(), by="alice") is False
    with pytest.raises(AlreadyDecided):
        runtime.decide(question.id, Decision.reject("no"), by="bob")
    assert refused(runtime, question) == [
        ("olga", "NotAllowedToDecide"),
        ("alice", "ArgumentsChanged"),
        ("alice", "repeated"),
        ("bob", "AlreadyDecided"),
    ]
    assert runtime.interrupt(question.id).decided_by == "alice"


ESCALATES = Approval(approvers=("alice",), expires_in=HOUR, on_expiry="escalate", escalate_to=("role:finance",))


def test_when_nobody_decides_others_are_asked_and_the_first_ones_still_may(world, gated):
    first, question = gated(ESCALATES)
    with pytest.raises(NotAllowedToDecide):
        first.decide(question.id, Decision.approve(), by="fay")
    later, same = gated(ESCALATES, later=HOUR + 1)
    assert same.id == question.id
    assert later.get("a").status == "suspended"
    wider = later.interrupt(question.id)
    assert wider.terms.approvers == ("alice", "role:finance")
    assert wider.expires_at > question.expires_at + HOUR - 1
    (note,) = [record.meta for record in later.get("a").history() if record.meta.get("event") == "escalated"]
    assert note["to"] == ["role:finance"]
    later.decide(question.id, Decision.approve(), by="fay")
    assert later.run("app", id="a").output == "paid 500"
    intact(later.get("a"))


def test_when_nobody_decides_after_that_either_the_call_is_rejected(world, gated):
    gated(ESCALATES)
    gated(ESCALATES, later=HOUR + 1)
    last, _ = gated(ESCALATES, later=HOUR + LEASE)
    assert last.run("app", id="a").output == "pay was rejected: nobody decided in time"
    assert world.effects == []


def test_the_clock_escalates_whether_a_worker_is_there_or_not(world, gated):
    _, asked = gated(ESCALATES)
    later = world.process(later=HOUR + 1, roles={"carol": ["finance"]})
    assert later.decide(asked.id, Decision.approve(), by="carol")
    assert later.interrupt(asked.id).status == "decided"


def test_after_the_second_time_nobody_decides(world, gated):
    _, asked = gated(ESCALATES)
    later = world.process(later=2 * HOUR + 1, roles={"carol": ["finance"]})
    with pytest.raises(DecisionExpired):
        later.decide(asked.id, Decision.approve(), by="carol")


def test_a_worker_escalates_by_itself(world, gated):
    gated(ESCALATES)
    _, question = gated(ESCALATES, later=HOUR + 1, by_worker=True)
    assert question.terms.approvers == ("alice", "role:finance")
    assert world.effects == []


def test_a_late_answer_is_kept_and_has_no_effect(world, gated):
    _, question = gated(Approval(expires_in=HOUR))
    later, _ = gated(Approval(expires_in=HOUR), later=HOUR + 1)
    with pytest.raises(DecisionExpired):
        later.decide(question.id, Decision.approve(), by="alice")
    assert refused(later, question) == [("alice", "DecisionExpired")]
    assert later.run("app", id="a").output == "pay was rejected: nobody decided in time"
    assert world.effects == []


@pytest.mark.parametrize(
    ("when", "asks"),
    [
        ("arguments.amount > 100", True),
        ("arguments.amount > 100 && tool == 'pay'", True),
        ("arguments.amount > 1000", False),
        (lambda arguments: arguments["amount"] > 1000, False),
    ],
)
def test_a_rule_is_a_function_or_an_expression(gated, when, asks):
    runtime, question = gated(Approval(when=when))
    assert (question is not None) is asks
    if asks:
        assert question.rule == when
    else:
        assert runtime.get("a").result(0) == "paid 500"


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("arguments.missing > 100", "arguments.missing > 100 could not be evaluated"),
        ("arguments.amount > 'much'", "could not be evaluated: TypeError"),
        ("arguments.amount", "not to true or false"),
        (lambda arguments: arguments["missing"], "the rule could not be evaluated: KeyError"),
    ],
)
def test_a_rule_that_raises_asks_and_says_why(world, gated, when, said):
    _, question = gated(Approval(when=when))
    assert said in question.rule
    assert world.effects == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"when": "arguments.amount >"}, "no CEL expression"),
        ({"quorum": 0}, "quorum"),
        ({"approvers": ("alice",), "quorum": 2}, "quorum"),
        ({"on_expiry": "escalate", "expires_in": 5.0}, "escalate_to"),
        ({"escalate_to": ("bob",)}, "escalate"),
        ({"on_expiry": "escalate", "escalate_to": ("bob",)}, "expires_in"),
        ({"on_expiry": "approve"}, "reject"),
    ],
)
def test_terms_that_cannot_be_met_are_refused(wrong, said):
    with pytest.raises(InvalidConfiguration, match=said):
        Approval(**wrong)
