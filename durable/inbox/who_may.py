"""Who may decide: the rule over the terms of an interrupt. Storage asks it under the lock of the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.errors import InvalidDecision, NotAllowedToDecide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from durable.checkpoint.records import Terms


def refusal(terms: Terms, person: str, roles: Iterable[str]) -> str | None:
    """Return why this person may not decide; None if they may. One person at a time holds what was handed on."""
    if person == terms.requester:
        return "who asked for the call does not decide on it"
    handover = _last_handover(terms, person)
    if handover is not None and handover["by"] == person:
        return f"it was handed to {handover['to']}"
    named = person in terms.approvers and not person.startswith("role:")
    if not terms.approvers or named or handover is not None:
        return None
    in_role = {f"role:{role}" for role in roles} & set(terms.approvers)
    return None if in_role else f"it is for {', '.join(terms.approvers)}"


def _last_handover(terms: Terms, person: str) -> Any:
    """Return the last delegation from or to this person; None if there is none."""
    return next((each for each in reversed(terms.delegations) if person in {each["by"], each["to"]}), None)


def decides(person: str, roles: tuple[str, ...]) -> Callable[[str, Terms], None]:
    """Return the check that this person may decide. It raises NotAllowedToDecide."""

    def admit(interrupt_id: str, terms: Terms) -> None:
        reason = refusal(terms, person, roles)
        if reason is not None:
            raise NotAllowedToDecide(interrupt_id, person, reason)

    return admit


def hands_over(person: str, roles: tuple[str, ...], to: str, to_roles: tuple[str, ...]) -> Callable[[str, Terms], None]:
    """Return the check that a person may hand their decision to ``to``.

    It raises NotAllowedToDecide, and InvalidDecision for somebody who may decide without it: nobody counts twice.
    """

    def admit(interrupt_id: str, terms: Terms) -> None:
        decides(person, roles)(interrupt_id, terms)
        if to == terms.requester:
            raise NotAllowedToDecide(interrupt_id, to, "who asked for the call does not decide on it")
        if to == person or (terms.approvers and refusal(terms, to, to_roles) is None):
            msg = f"{to!r} may decide interrupt {interrupt_id!r} already, and counts once; hand it to somebody else"
            raise InvalidDecision(msg)

    return admit
