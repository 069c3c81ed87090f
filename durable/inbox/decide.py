"""Deciding: a person's answer on its way into the inbox, and what they hand to another.

Only what fits the question gets there; what does not count there is kept with the interrupt, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from durable.checkpoint.inbox import interrupts, votes
from durable.declare.ids import checked, text
from durable.errors import AlreadyDecided, ArgumentsChanged, DecisionExpired, NotAllowedToDecide
from durable.inbox import who_may
from durable.inbox.kinds import kind_of
from durable.inbox.shown import still_as_asked

if TYPE_CHECKING:
    from durable.checkpoint.records import Interrupt
    from durable.inbox.decision import Decision
    from durable.live.services import Services


@dataclass(frozen=True, slots=True)
class Given:
    """Who answers, and on which arguments."""

    by: str
    comment: str | None = None
    arguments_hash: str | None = None


def decide(runtime: Services, interrupt_id: str, decision: Decision, given: Given) -> bool:
    """See ``Runtime.decide``."""
    by = checked(given.by, "the name of the person who decides")
    comment = _said(runtime, given.comment)
    interrupt = find(runtime, interrupt_id)
    decision.check(interrupt)
    answer = {"kind": decision.kind, "value": decision.value, "reason": decision.reason}
    new = votes.NewDecision(
        runtime.codec.encode(answer, what="the decision"),
        runtime.codec.fingerprint(answer),
        by,
        who_may.decides(by, runtime.roles_of(by)),
        comment,
        alone=decision.kind in kind_of(interrupt).alone,
    )
    db = runtime.database
    try:
        _same_arguments(runtime, interrupt, given.arguments_hash)
        return db.transact(lambda connection: votes.decide(db, connection, runtime.namespace, interrupt_id, new))
    except (NotAllowedToDecide, AlreadyDecided, DecisionExpired, ArgumentsChanged) as exc:
        why = type(exc).__name__
        db.transact(lambda connection: votes.refused(db, connection, interrupt_id, new, why))
        raise


def find(services: Services, interrupt_id: str) -> Interrupt:
    """Return one interrupt. Raises InterruptNotFound, InvalidId."""
    checked(interrupt_id, "the interrupt's id")
    with services.database.read() as connection:
        return interrupts.get(connection, services.namespace, interrupt_id, services.load)


def _same_arguments(services: Services, interrupt: Interrupt, looked_at: str | None) -> None:
    if looked_at is not None and looked_at != interrupt.arguments_hash:
        raise ArgumentsChanged(f"interrupt {interrupt.id!r} is about other arguments than those you decided on")
    if not still_as_asked(services, interrupt):
        raise ArgumentsChanged(f"interrupt {interrupt.id!r} is not as it was asked: somebody has edited the database")


def delegate(runtime: Services, interrupt_id: str, *, to: str, by: str, comment: str | None = None) -> None:
    """See ``Runtime.delegate``."""
    checked(interrupt_id, "the interrupt's id")
    by, to = checked(by, "the name of the person who decides"), checked(to, "the name of the delegate")
    admit = who_may.hands_over(by, runtime.roles_of(by), to, runtime.roles_of(to))
    new = votes.NewDelegation(by, to, admit, _said(runtime, comment))
    db = runtime.database
    db.transact(lambda connection: votes.delegate(db, connection, runtime.namespace, interrupt_id, new))


def _said(runtime: Services, comment: str | None) -> str | None:
    return None if comment is None else runtime.secrets.redactor.text(text(comment, "the comment"))
