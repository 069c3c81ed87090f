"""The cases: what a model asks for, what people, time and crashes do about it, and what it must come to. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.declare.policy import Approval
from durable.errors import DecisionExpired, InvalidDecision, NotAllowedToDecide
from durable.inbox.decision import Decision
from durable.testing.acts import Alters, Decides, Deploys, Dies, Forges, GoesOn, Passes, Returns, Waits
from durable.testing.processes import Moment
from durable.testing.script import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR = 3600.0
ROLES = {"fay": ("finance",), "fred": ("finance",), "bob": ("board",), "sam": ("sales",), "rita": ("finance",)}


@dataclass(frozen=True)
class Case:
    """``results`` are a part of what the model was told of each call, ``effects`` is all that happened, once each.

    ``altered`` limits a case to the frameworks whose fixture says the same.
    """

    name: str
    acts: tuple[Any, ...]
    effects: tuple[str, ...]
    results: Mapping[str, str]
    calls: tuple[Call, ...] = (Call("c1", "pay", {"order": "A", "amount": 500}),)
    gate: Approval = field(default_factory=lambda: Approval(approvers=("role:finance",)))
    tags: Mapping[str, str] = field(default_factory=dict)
    status: str = "succeeded"
    on_postgres: bool = False
    altered: str | None = None


YES, NO = Decision.approve(), Decision.reject("too dear")
PAID, NOTHING = ("pay 500 for A",), ()
TWO = (Call("c1", "pay", {"order": "A", "amount": 500}), Call("c2", "pay", {"order": "B", "amount": 600}))

CASES = (
    Case("approve", (Waits(("c1",)), Decides("fay", YES)), PAID, {"c1": "paid 500"}, on_postgres=True),
    Case(
        "edit",
        (Decides("fay", Decision.edit({"order": "A", "amount": 50})),),
        ("pay 50 for A",),
        {"c1": "paid 50"},
    ),
    Case("reject and continue", (Decides("fay", NO),), NOTHING, {"c1": "too dear"}),
    Case("respond", (Decides("fay", Decision.respond("paid in cash")),), NOTHING, {"c1": "paid in cash"}),
    Case(
        "expiry",
        (Passes(2 * HOUR), Decides("fay", YES, refused=DecisionExpired), Passes(1)),
        NOTHING,
        {"c1": "nobody decided in time"},
        gate=Approval(expires_in=HOUR),
    ),
    Case(
        "escalation",
        (
            Decides("bob", YES, refused=NotAllowedToDecide),
            Passes(1.5 * HOUR),
            Waits(("c1",)),
            Decides("bob", YES),
        ),
        PAID,
        {"c1": "paid 500"},
        gate=Approval(approvers=("role:finance",), expires_in=HOUR, on_expiry="escalate", escalate_to=("role:board",)),
    ),
    Case(
        "quorum of two",
        (
            Decides("fay", YES),
            Waits(("c1",)),
            Decides("fay", YES),
            Waits(("c1",)),
            Decides("fred", YES),
        ),
        PAID,
        {"c1": "paid 500"},
        gate=Approval(approvers=("role:finance",), quorum=2),
        on_postgres=True,
    ),
    Case(
        "quorum of two, and one refuses",
        (Decides("fay", YES), Decides("fred", NO)),
        NOTHING,
        {"c1": "too dear"},
        gate=Approval(approvers=("role:finance",), quorum=2),
    ),
    Case(
        "wrong person",
        (
            Decides("sam", YES, refused=NotAllowedToDecide),
            Decides("role:finance", YES, refused=NotAllowedToDecide),
            Waits(("c1",)),
            Decides("fay", YES),
        ),
        PAID,
        {"c1": "paid 500"},
    ),
    Case(
        "requester approving himself",
        (Decides("rita", YES, refused=NotAllowedToDecide), Waits(("c1",)), Decides("fay", YES)),
        PAID,
        {"c1": "paid 500"},
        tags={"requested_by": "rita"},
    ),
    Case(
        "an argument that the model left out is seen by the rule and by the person",
        (Waits(("c1",)), Decides("fay", Decision.edit({"order": "A", "amount": 50}))),
        ("pay 50 for A",),
        {"c1": "paid 50"},
        calls=(Call("c1", "pay", {"order": "A"}),),
        gate=Approval(when=lambda arguments: arguments.get("amount", 0) > 100),
    ),
    Case(
        "a call below the rule is not asked about",
        (),
        ("pay 50 for A",),
        {"c1": "paid 50"},
        calls=(Call("c1", "pay", {"order": "A", "amount": 50}),),
        gate=Approval(when="arguments.amount > 100"),
    ),
    Case(
        "changed arguments after a replay: of a default that another version has",
        (Waits(("c1",)), Deploys(9000), Decides("fay", YES), Waits(("c1",)), Decides("fay", NO)),
        NOTHING,
        {"c1": "too dear"},
        calls=(Call("c1", "pay", {"order": "A"}),),
    ),
    Case(
        "changed arguments after a replay: by code on the way, which the framework itself refuses",
        (Alters({"amount": 9000}), Decides("fay", YES)),
        NOTHING,
        {},
        status="failed",
        altered="failed",
    ),
    Case(
        "changed arguments after a replay: by code on the way",
        (
            Alters({"amount": 9000}),
            Decides("fay", YES),
            Waits(("c1",), kind="drift"),
            Alters({}),
            Returns(),
            Waits(("c1",)),
            Decides("fay", YES),
        ),
        PAID,
        {"c1": "paid 500"},
        altered="drift",
    ),
    Case(
        "parallel calls answered in reverse order",
        (
            Waits(("c1", "c2")),
            Decides("fay", YES, call="c2"),
            Waits(("c1",), ("pay 600 for B",)),
            Decides("fay", NO, call="c1"),
        ),
        ("pay 600 for B",),
        {"c1": "too dear", "c2": "paid 600"},
        calls=TWO,
    ),
    Case(
        "one gated and one free call in the same turn",
        (Waits(("c1",), ("note hello",)), Returns(), Waits(("c1",), ("note hello",)), Decides("fay", YES)),
        ("note hello", *PAID),
        {"c1": "paid 500", "c2": "noted hello"},
        calls=(*TWO[:1], Call("c2", "note", {"text": "hello"})),
    ),
    Case(
        "decision, then a crash before it is delivered",
        (Decides("fay", YES), Dies()),
        PAID,
        {"c1": "paid 500"},
        on_postgres=True,
    ),
    Case(
        "decision, then a crash in the call",
        (
            Decides("fay", YES),
            Dies(Moment("after pay 500 for A")),
            Waits(("c1",), PAID, kind="in_doubt"),
            Decides("fay", Decision.happened("paid 500, says the bank")),
        ),
        PAID,
        {"c1": "says the bank"},
    ),
    Case(
        "decision, then a crash before the call",
        (
            Decides("fay", YES),
            Dies(Moment("before pay 500 for A")),
            Waits(("c1",), kind="in_doubt"),
            Decides("fay", Decision.did_not_happen()),
        ),
        PAID,
        {"c1": "paid 500"},
    ),
    Case("the framework's own way to go on", (Decides("fay", YES), GoesOn()), PAID, {"c1": "paid 500"}),
    Case(
        "a call that cannot run is not asked about, and the model is told",
        (),
        NOTHING,
        {"c1": "amount", "c2": "order"},
        calls=(Call("c1", "pay", {"order": "A", "amount": "much"}), Call("c2", "pay", {"amount": 5})),
    ),
    Case(
        "an edit that does not fit the tool",
        (
            Decides("fay", Decision.edit({"order": "A", "amount": "50"}), refused=InvalidDecision),
            Decides("fay", Decision.edit({"order": "A"}), refused=InvalidDecision),
            Waits(("c1",)),
            Decides("fay", Decision.edit({"order": "A", "amount": 50})),
        ),
        ("pay 50 for A",),
        {"c1": "paid 50"},
    ),
    Case(
        "forged confirmation in the input",
        (Forges(), Waits(("c1",)), Decides("fay", YES)),
        PAID,
        {"c1": "paid 500"},
    ),
    Case(
        "forged confirmation after a rejection",
        (Decides("fay", NO), Forges()),
        NOTHING,
        {"c1": "too dear"},
    ),
)
