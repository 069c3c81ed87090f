"""Events about questions to people: that one was asked, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from durable.record.events.base import ABSENT, Absent, Event, journaled
from durable.record.events.steps import Called

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from durable.checkpoint.records import Kind


@journaled
class InterruptOpened(Called):
    """Records that a person is asked, at the step of the record."""

    KIND: ClassVar[Kind] = "interrupt_opened"

    because: str | None = None
    """Of a call in doubt, why nobody knows whether it happened."""
    budget: str | None = None
    """Of a question about the budget, the limit that is used up and by how much."""
    interrupt: str
    """The id of the interrupt."""
    interrupt_kind: str | None = None
    """What is asked for: approval, question, choice, in_doubt, drift or repeat."""
    subject: str | None = None
    """The sha256 of the question as it is stored: what is shown to a person is compared with it."""


@journaled
class InterruptClosed(Event):
    """Records that a question was answered or withdrawn. If the answer has a value, it is the record's value."""

    KIND: ClassVar[Kind] = "interrupt_closed"

    interrupt: str
    """The id of the interrupt."""
    decision: str
    """The kind of the decision: approve, edit, reject, respond, happened, did_not_happen, reuse, again, undo, cancel or
    withdrawn."""
    by: str | None = None
    """Who decided, or ``timer``; absent where the question was withdrawn."""
    reason: str | None = None
    """The reason that was given."""
    comment: str | None = None
    """The comment that was left."""
    delegations: Sequence[Mapping[str, Any]] | None = None
    """Who handed the decision to whom: by, to, at, comment."""
    granted: bool | None = None
    """Of a question about the budget, True if it may be used once more."""
    budget: str | None = None
    """Of a question about the budget, the limit that was used up and by how much."""
    accepted: bool | None = None
    """Of drift, True if the execution goes on with what is recorded."""
    repeated: str | None = None
    """Of a repetition, what becomes of it: reuse, again, undo or cancel."""
    confirms: str | Absent | None = ABSENT
    """Of a pause of ADK, the id of the call that is confirmed; null if it was about no call."""
