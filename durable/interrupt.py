"""Interrupts from the inside: asking, and acting on what was decided.

A question is opened together with its journal record and the execution lets go; the next segment finds the
decision and takes it into the journal in the same transaction as what it leads to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from durable.checkpoint import interrupts
from durable.checkpoint.errors import InvalidConfiguration, InvalidDecision, Suspended
from durable.checkpoint.records import NewRecord
from durable.ids import interrupt_id
from durable.policy import Approval
from durable.schemas import misfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.records import Interrupt, InterruptKind
    from durable.replay import Outcome
    from durable.segment import Segment


ANYONE = Approval()
"""Whoever can decide may, and there is no hurry."""

REQUESTED_BY = "requested_by"
"""The tag of an execution that names the person it was started for."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer to an interrupt. Made by one of its class methods; delivered once."""

    kind: str
    value: Any = None
    reason: str | None = None

    FITS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "approval": ("approve", "edit", "reject", "respond"),
        "question": ("respond", "reject"),
        "choice": ("respond", "reject"),
        "in_doubt": ("happened", "did_not_happen", "cancel"),
        "drift": ("approve", "cancel"),
    }

    @classmethod
    def approve(cls) -> Decision:
        """Run the call as it was asked. For drift: go on with what was recorded."""
        return cls("approve")

    @classmethod
    def edit(cls, arguments: Mapping[str, Any]) -> Decision:
        """Run the call with these arguments instead."""
        return cls("edit", dict(arguments))

    @classmethod
    def reject(cls, reason: str) -> Decision:
        """Do not run the call; the agent is told the reason and goes on."""
        return cls("reject", reason=reason)

    @classmethod
    def respond(cls, value: Any) -> Decision:
        """Do not run the call; this is its result. For a question: the answer."""
        return cls("respond", value)

    @classmethod
    def happened(cls, result: Any = None) -> Decision:
        """In doubt: the effect did happen, with this result; the call is not run again."""
        return cls("happened", result)

    @classmethod
    def did_not_happen(cls) -> Decision:
        """In doubt: the effect did not happen; run the call."""
        return cls("did_not_happen")

    @classmethod
    def cancel(cls, reason: str = "cancelled by decision") -> Decision:
        """In doubt or drift: end the execution."""
        return cls("cancel", reason=reason)

    def check(self, interrupt: Interrupt) -> None:
        """Raise InvalidDecision if this answer does not fit that question."""
        fits = self.FITS[interrupt.kind]
        if interrupt.kind == "approval" and interrupt.tool is None:  # of a budget: there is no call to be changed
            fits = ("approve", "reject")
        if self.kind not in fits:
            msg = (
                f"{self.kind!r} does not answer interrupt {interrupt.id!r}, which is {interrupt.kind}; "
                f"use one of {', '.join(fits)}"
            )
            raise InvalidDecision(msg)
        if self.kind == "reject" and not (self.reason or "").strip():
            msg = "a rejection needs a reason: the agent is told it, and the history keeps it"
            raise InvalidDecision(msg)
        if self.kind == "edit" and isinstance(interrupt.arguments, dict):
            unknown = sorted(set(self.value) - set(interrupt.arguments), key=repr)
            missing = sorted(set(interrupt.arguments) - set(self.value), key=repr)
            if unknown or missing:
                msg = (
                    f"edited arguments must be those of {interrupt.tool!r}; unknown: {unknown or 'none'}, "
                    f"missing: {missing or 'none'}"
                )
                raise InvalidDecision(msg)
            if (why := misfit(interrupt.subject.get("schema"), self.value)) is not None:
                msg = f"the edited arguments do not fit the schema of {interrupt.tool!r}: {why}"
                raise InvalidDecision(msg)
        if self.kind == "respond" and interrupt.kind in {"question", "choice"}:
            self._check_schema(interrupt)

    def _check_schema(self, interrupt: Interrupt) -> None:
        schema = interrupt.subject.get("schema")
        if not schema:
            return
        from jsonschema import ValidationError, validate  # noqa: PLC0415 - only where an answer is given

        try:
            validate(self.value, schema)
        except ValidationError as exc:
            msg = f"the answer does not fit the question's schema: {exc.message}"
            raise InvalidDecision(msg) from exc


def check_schema(schema: Any) -> None:
    """Raise InvalidConfiguration for what is no JSON Schema: no answer could ever fit it."""
    from jsonschema import SchemaError  # noqa: PLC0415 - only where a question has a schema
    from jsonschema.validators import validator_for  # noqa: PLC0415

    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as exc:
        msg = f"the question's schema is no JSON Schema: {exc.message}"
        raise InvalidConfiguration(msg) from exc


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
        kind = "cancel" if interrupt.kind in {"in_doubt", "drift"} else "reject"
        return Answer(interrupt, Decision(kind, reason=reason), expired=True)
    segment.wait_for(interrupt)
    raise Suspended
