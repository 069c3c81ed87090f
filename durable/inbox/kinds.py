"""Kinds of interrupts: what answers them, and what happens if nobody does. One table; other code asks it.

| kind | answers | nobody answers |
|---|---|---|
| approval | approve, edit, reject, respond | reject |
| approval of a budget | approve, reject | reject |
| question, choice | respond, reject | reject |
| in_doubt | happened, did_not_happen, cancel | cancel |
| drift | approve, cancel | cancel |
| repeat | reuse, again, undo (where the tool says how), cancel | cancel |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.records import Interrupt, InterruptName

Expiry = Literal["reject", "cancel"]


@dataclass(frozen=True, slots=True)
class InterruptKind:
    """What is so for all interrupts of a kind; ``name`` is how they are stored.

    ``answers`` are the decisions that fit. ``on_expiry`` is the one that time itself gives; ``alone`` are those that
    one person gives, whatever the quorum. ``has_call``: it is about one call, which is not made meanwhile.
    ``is_doubt``: the call may have happened. ``needs_operator``: code or the outside world has to be looked at before
    it is answered. ``shows_both_sides``: its subject has what is recorded and what is now. ``words`` begin what a
    person is shown of it.
    """

    name: InterruptName
    answers: tuple[str, ...]
    on_expiry: Expiry = "reject"
    has_call: bool = False
    is_doubt: bool = False
    needs_operator: bool = False
    shows_both_sides: bool = False
    words: str = ""

    @property
    def says_why(self) -> bool:
        """True if the rule that asks says what a person has to know."""
        return self.is_doubt or self.name == "repeat"

    @property
    def alone(self) -> frozenset[str]:
        """The answers for which one person is enough."""
        return frozenset({self.on_expiry})


APPROVAL = InterruptKind("approval", ("approve", "edit", "reject", "respond"), has_call=True)
BUDGET = InterruptKind("approval", ("approve", "reject"))
"""May the execution use its budget once more? Stored as an approval, without a tool: there is no call to be changed."""
QUESTION = InterruptKind("question", ("respond", "reject"))
CHOICE = InterruptKind("choice", ("respond", "reject"))
IN_DOUBT = InterruptKind(
    "in_doubt",
    ("happened", "did_not_happen", "cancel"),
    on_expiry="cancel",
    has_call=True,
    is_doubt=True,
    needs_operator=True,
    words="did it happen? ",
)
DRIFT = InterruptKind(
    "drift", ("approve", "cancel"), on_expiry="cancel", has_call=True, needs_operator=True, shows_both_sides=True
)

REPEAT = InterruptKind(
    "repeat", ("reuse", "again", "undo", "cancel"), on_expiry="cancel", has_call=True, words="once more? "
)
"""May an effect that happened beyond the point an execution went back to happen again?"""
REPEAT_FOR_GOOD = replace(REPEAT, answers=("reuse", "again", "cancel"))
"""The same of an effect whose tool does not say how to undo it."""

KINDS: Mapping[str, InterruptKind] = {kind.name: kind for kind in (APPROVAL, QUESTION, CHOICE, IN_DOUBT, DRIFT, REPEAT)}


def kind_of(interrupt: Interrupt) -> InterruptKind:
    """Return the kind of a stored interrupt."""
    kind = KINDS[interrupt.kind]
    if kind is REPEAT:
        return REPEAT if interrupt.subject.get("undo") else REPEAT_FOR_GOOD
    return BUDGET if kind is APPROVAL and interrupt.tool is None else kind
