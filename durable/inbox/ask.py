"""Interrupts from the inside: asking, and acting on what was decided.

A question is opened together with its journal record and the execution lets go; the next segment finds the
decision and takes it into the journal in the same transaction as what it leads to.

``question``, ``withdrawal`` and ``standing`` only say what is to be written; ``ask_person`` and ``answer_to`` do it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.checkpoint.inbox import interrupts
from durable.checkpoint.state import blobs
from durable.declare.policy import Approval
from durable.errors import Suspended
from durable.inbox.batch import NOTHING, Asked, Batch, commit
from durable.inbox.decision import Decision
from durable.inbox.kinds import InterruptKind, kind_of
from durable.inbox.shown import is_as_asked
from durable.record.events import Called, Escalated, InterruptClosed, InterruptOpened
from durable.record.keys import interrupt_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from durable.checkpoint.records import Interrupt, NewRecord
    from durable.live.segment import Segment
    from durable.record.replay import Outcome


ANYONE = Approval()
"""Whoever can decide may, and there is no hurry."""


NO_CALL = Called()
"""What is asked is not about a call."""

REQUESTED_BY = "requested_by"
"""The tag of an execution that names the person it was started for."""


def question(  # noqa: PLR0913 - the fields of a question
    segment: Segment,
    outcome: Outcome,
    kind: InterruptKind,
    subject: Mapping[str, Any],
    *,
    tool: str | None = None,
    arguments_hash: str | None = None,
    rule: str | None = None,
    gate: Approval = ANYONE,
    about: Called = NO_CALL,
    because: str | None = None,
    budget: str | None = None,
    repeats: Sequence[str] | None = None,
) -> Batch:
    """Return what opens an interrupt at this step.

    ``gate`` says who may answer, and until when; ``rule`` why it is asked. ``about`` is what the record says of the
    call, ``because`` why a call is in doubt, ``budget`` what is used up of one, ``repeats`` which effect it would make
    once more.
    """
    runtime = segment.runtime
    encoded = runtime.codec.encode(dict(subject), what="the question")
    new = interrupts.NewInterrupt(
        id=interrupt_id(segment.execution.id, outcome.key, kind.name, outcome.interrupts + 1),
        namespace=runtime.namespace,
        execution_id=segment.execution.id,
        step_key=outcome.key,
        kind=kind.name,
        tool=tool,
        subject=encoded,
        arguments_hash=arguments_hash,
        rule=None if rule is None else runtime.secrets.redactor.text(rule),
        expires_at=None if gate.expires_in is None else runtime.database.clock() + gate.expires_in,
        required=gate.quorum,
        terms=gate.terms(segment.execution.tags.get(REQUESTED_BY)),
    )
    why = {"because": because, "budget": budget, "repeats": None if repeats is None else list(repeats)}
    opened = InterruptOpened.of(
        about,
        **why,
        interrupt=new.id,
        interrupt_kind=kind.name,
        subject=blobs.digest_of(encoded),
    )
    return Batch(
        (opened.pack(outcome.key),),
        (interrupts.opening(runtime.database, new),),
        questions=(Asked(new.id, outcome.key, kind),),
    )


def ask_person(
    segment: Segment, outcome: Outcome, kind: InterruptKind, subject: Mapping[str, Any], **more: Any
) -> None:
    """Open an interrupt at this step, durable before this returns, and wait for it when the segment ends.

    ``more`` is as for ``question``.
    """
    commit(segment, question(segment, outcome, kind, subject, **more))


def withdrawal(outcome: Outcome) -> Batch:
    """Return what takes back the question at this step, answered or not: it is about another call than is made now."""
    if outcome.interrupt is None:
        return NOTHING
    closed = InterruptClosed(interrupt=outcome.interrupt, decision="withdrawn")
    return Batch((closed.pack(outcome.key),), (interrupts.withdrawing(outcome.interrupt),))


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision ready to be taken into the journal: who gave it, and what must commit with it."""

    interrupt: Interrupt
    decision: Decision
    expired: bool = False

    @property
    def kind(self) -> InterruptKind:
        """Return the kind of the question."""
        return kind_of(self.interrupt)

    def used_up(self, segment: Segment, **more: Any) -> Batch:
        """Return the record that closes the interrupt, with more fields of it, and the statement that uses it up."""
        interrupt, decision = self.interrupt, self.decision
        closed = InterruptClosed(
            interrupt=interrupt.id,
            decision=decision.kind,
            by=interrupt.decided_by or "timer",
            reason=decision.reason or None,
            comment=interrupt.comment or None,
            delegations=[dict(handover) for handover in interrupt.terms.delegations] or None,
            **more,
        )
        value = None if decision.value is None else segment.runtime.codec.encode(decision.value)
        consume = (
            interrupts.expiring(interrupt, segment.runtime.database)
            if self.expired
            else interrupts.consuming(interrupt)
        )
        return Batch((closed.pack(interrupt.step_key, value),), (consume,), answers=(self,))

    def closing(self, segment: Segment, **more: Any) -> tuple[NewRecord, Any]:
        """Return the record and the statement of ``used_up``, for a caller that commits them itself."""
        batch = self.used_up(segment, **more)
        segment.runtime.telemetry.decided(segment, self)
        return batch.records[0], batch.companions[0]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """An interrupt that nobody has decided; ``batch`` asks others as well, where the time for it is over."""

    interrupt: Interrupt
    batch: Batch = NOTHING


def asked(segment: Segment, outcome: Outcome, kind: InterruptKind) -> Interrupt | None:
    """Return the interrupt at this step, open or decided, if it is of this kind."""
    interrupt = segment.interrupt(outcome.interrupt or "")
    return interrupt if interrupt is not None and kind_of(interrupt) is kind else None


def standing(segment: Segment, outcome: Outcome) -> Answer | Unanswered | None:
    """Return how the question at this step stands; None if there is none, or if it must be asked again."""
    interrupt = segment.interrupt(outcome.interrupt or "")
    if interrupt is None or interrupt.status in {"cancelled", "expired", "consumed"}:
        return None
    if not is_as_asked(interrupt, outcome.subject):
        return None
    if interrupt.status == "decided":
        decided = interrupt.decision
        return Answer(interrupt, Decision(decided["kind"], decided.get("value"), decided.get("reason")))
    if interrupt.expires_at is None or segment.runtime.database.clock() < interrupt.expires_at:
        return Unanswered(interrupt)
    if interrupt.terms.escalate_to:
        return Unanswered(interrupt, _escalation(segment, interrupt))
    expiry = Decision(kind_of(interrupt).on_expiry, reason="nobody decided in time")
    return Answer(interrupt, expiry, expired=True)


def _escalation(segment: Segment, interrupt: Interrupt) -> Batch:
    """Return what escalates a question past its deadline; it is waited for on."""
    note = Escalated(interrupt=interrupt.id, to=list(interrupt.terms.escalate_to), step=interrupt.step_key)
    return Batch(
        (note.pack(),),
        (interrupts.escalating(interrupt, segment.runtime.database),),
        questions=(Asked(interrupt.id, interrupt.step_key),),
    )


def answer_to(segment: Segment, outcome: Outcome) -> Answer | None:
    """Return the decision on this step's interrupt; None if it must be asked (again). Raises Suspended while open."""
    found = standing(segment, outcome)
    if isinstance(found, Unanswered):
        commit(segment, found.batch)
        if not found.batch.records:
            segment.wait_for(found.interrupt)
        raise Suspended
    return found
