"""Decisions: the answer to an interrupt, and whether it fits the question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from durable.errors import InvalidConfiguration, InvalidDecision
from durable.inbox.kinds import KINDS, kind_of
from durable.inbox.schemas import misfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.records import Interrupt


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer to an interrupt. Made by one of its class methods; delivered once."""

    kind: str
    value: Any = None
    reason: str | None = None

    FITS: ClassVar[Mapping[str, tuple[str, ...]]] = {kind.name: kind.answers for kind in KINDS.values()}

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
    def reuse(cls) -> Decision:
        """A repetition: do not run the call; what the earlier one came to is its result."""
        return cls("reuse")

    @classmethod
    def again(cls) -> Decision:
        """A repetition: run the call; its effect happens a second time."""
        return cls("again")

    @classmethod
    def undo(cls) -> Decision:
        """A repetition: undo the earlier effect by its tool's ``compensate=``, then run the call."""
        return cls("undo")

    @classmethod
    def cancel(cls, reason: str = "cancelled by decision") -> Decision:
        """In doubt, drift or a repetition: end the execution."""
        return cls("cancel", reason=reason)

    def check(self, interrupt: Interrupt) -> None:
        """Raise InvalidDecision if this answer does not fit that question."""
        kind = kind_of(interrupt)
        if self.kind not in kind.answers:
            msg = (
                f"{self.kind!r} does not answer interrupt {interrupt.id!r}, which is {kind.name}; "
                f"use one of {', '.join(kind.answers)}"
            )
            raise InvalidDecision(msg)
        if self.kind == "reject" and not (self.reason or "").strip():
            msg = "a rejection needs a reason: the agent is told it, and the history keeps it"
            raise InvalidDecision(msg)
        if self.kind == "edit" and isinstance(interrupt.arguments, dict):
            self._check_edited(interrupt, interrupt.arguments)
        if self.kind == "respond" and not kind.has_call:
            self._check_schema(interrupt)

    def _check_edited(self, interrupt: Interrupt, arguments: Mapping[str, Any]) -> None:
        unknown = sorted(set(self.value) - set(arguments), key=repr)
        missing = sorted(set(arguments) - set(self.value), key=repr)
        if unknown or missing:
            msg = (
                f"edited arguments must be those of {interrupt.tool!r}; unknown: {unknown or 'none'}, "
                f"missing: {missing or 'none'}"
            )
            raise InvalidDecision(msg)
        reason = misfit(interrupt.subject.get("schema"), self.value)
        if reason is not None:
            msg = f"the edited arguments do not fit the schema of {interrupt.tool!r}: {reason}"
            raise InvalidDecision(msg)

    def _check_schema(self, interrupt: Interrupt) -> None:
        schema = interrupt.subject.get("schema")
        if not schema:
            return
        reason = misfit(schema, self.value)
        if reason is not None:
            msg = f"the answer does not fit the question's schema: {reason}"
            raise InvalidDecision(msg)


def check_schema(schema: Any) -> None:
    """Raise InvalidConfiguration for what is no JSON Schema: no answer could ever fit it."""
    from jsonschema import SchemaError  # noqa: PLC0415 - only where a question has a schema
    from jsonschema.validators import validator_for  # noqa: PLC0415

    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as exc:
        msg = f"the question's schema is no JSON Schema: {exc.message}"
        raise InvalidConfiguration(msg) from exc
