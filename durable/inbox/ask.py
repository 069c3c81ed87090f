"""Interrupts from the inside: asking, and acting on what was decided.

A question is opened together with its journal record and the execution lets go; the next segment finds the
decision and takes it into the journal in the same transaction as what it leads to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.checkpoint.inbox import interrupts
from durable.checkpoint.records import NewRecord
from durable.declare.policy import Approval
from durable.errors import Suspended
from durable.inbox.decision import Decision
from durable.record.keys import interrupt_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.records import Interrupt, InterruptKind
    from durable.live.segment import Segment
    from durable.record.replay import Outcome


ANYONE = Approval()
"""Whoever can decide may, and there is no hurry."""


REQUESTED_BY = "requested_by"
"""The tag of an execution that names the person it was started for."""


def ask_person(  # noqa: PLR0913 - the fields of a question
    segment: Segment,
    outcome: Outcome,
    kind: InterruptKind,
    subject: Mapping[str, Any],
    *,
    tool: str | None = None,
    arguments_hash: str | None = None,
    rule: str | None = None,
    gate: Approval = ANYONE,
    meta: Mapping[str, Any] | None = None,
) -> Interrupt:
    """Open an interrupt at this step, durable before this returns, and wait for it when the segment ends.

    ``gate`` says who may answer, and until when; ``rule`` why it is asked.
    """
    runtime = segment.runtime
    new = interrupts.NewInterrupt(
        id=interrupt_id(segment.execution.id, outcome.key, kind, outcome.interrupts + 1),
        namespace=runtime.namespace,
        execution_id=segment.execution.id,
        step_key=outcome.key,
        kind=kind,
        tool=tool,
        subject=runtime.codec.encode(dict(subject), what="the question"),
        arguments_hash=arguments_hash,
        rule=None if rule is None else runtime.secrets.redactor.text(rule),
        expires_at=None if gate.expires_in is None else runtime.database.clock() + gate.expires_in,
        required=gate.quorum,
        terms=gate.terms(segment.execution.tags.get(REQUESTED_BY)),
    )
    segment.append(
        NewRecord("interrupt_opened", outcome.key, {**(meta or {}), "interrupt": new.id, "interrupt_kind": kind}),
        companions=[interrupts.opening(runtime.database, new)],
    )
    runtime.telemetry.interrupt_opened(segment, new.id, kind, outcome.key)
    return segment.opened(new.id)


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision ready to be taken into the journal: who gave it, and what must commit with it."""

    interrupt: Interrupt
    decision: Decision
    expired: bool = False

    def closing(self, segment: Segment, **meta: Any) -> tuple[NewRecord, Any]:
        """The ``interrupt_closed`` record, and the statement that uses the decision up."""
        segment.runtime.telemetry.decided(segment, self)
        encoded = segment.runtime.codec.encode(self.decision.value) if self.decision.value is not None else None
        record = NewRecord(
            "interrupt_closed",
            self.interrupt.step_key,
            {
                "interrupt": self.interrupt.id,
                "decision": self.decision.kind,
                "by": self.interrupt.decided_by or "timer",
                **({"reason": self.decision.reason} if self.decision.reason else {}),
                **({"comment": self.interrupt.comment} if self.interrupt.comment else {}),
                **(
                    {"delegations": [dict(one) for one in handed]}
                    if (handed := self.interrupt.terms.delegations)
                    else {}
                ),
                **meta,
            },
            encoded,
        )
        return record, (
            interrupts.expiring(self.interrupt, segment.runtime.database)
            if self.expired
            else interrupts.consuming(self.interrupt)
        )


def _escalate(segment: Segment, interrupt: Interrupt) -> None:
    """Nobody has decided in time: others are asked as well, and it is waited for them."""
    told = {"event": "escalated", "interrupt": interrupt.id, "to": list(interrupt.terms.escalate_to)}
    segment.append(
        NewRecord("note", None, {**told, "step": interrupt.step_key}),
        companions=[interrupts.escalating(interrupt, segment.runtime.database)],
    )
    segment.opened(interrupt.id)


def answer_to(segment: Segment, outcome: Outcome) -> Answer | None:
    """The decision on this step's interrupt; None if it must be asked (again). Raises Suspended while it is open."""
    if outcome.interrupt is None:
        return None
    interrupt = segment.interrupt(outcome.interrupt)
    if interrupt is None or interrupt.status in {"cancelled", "expired", "consumed"}:
        return None
    if interrupt.status == "decided":
        given = interrupt.decision
        return Answer(interrupt, Decision(given["kind"], given.get("value"), given.get("reason")))
    if interrupt.expires_at is not None and segment.runtime.database.clock() >= interrupt.expires_at:
        if interrupt.terms.escalate_to:
            _escalate(segment, interrupt)
            raise Suspended
        reason = "nobody decided in time"
        kind = "cancel" if interrupt.kind in {"in_doubt", "drift", "repeat"} else "reject"
        return Answer(interrupt, Decision(kind, reason=reason), expired=True)
    segment.wait_for(interrupt)
    raise Suspended
