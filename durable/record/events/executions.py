"""Events about the execution as a whole: that it started, who claimed it, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from durable.record.events.base import Described, Event, Fields, journaled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable.checkpoint.records import Kind


@journaled
class Started(Event):
    """Records that the execution exists, and is always the first record. The input is in the execution's row."""

    KIND: ClassVar[Kind] = "started"

    app: str
    """The name of the app."""
    thread: str | None
    """The thread it runs on, or null."""
    input_digest: str
    """The digest of its input."""


@journaled
class Claimed(Event):
    """Records that a process has claimed the execution, and is the first record of a new epoch."""

    KIND: ClassVar[Kind] = "claimed"

    owner: str
    """The name of the owner: host, process and what makes it unique."""


@journaled
class Succeeded(Event):
    """Records that the execution has returned. The output is in the execution's row."""

    KIND: ClassVar[Kind] = "succeeded"


@journaled
class Failed(Event):
    """Records that the execution has failed."""

    KIND: ClassVar[Kind] = "failed"

    error: Described
    """The exception's type and message."""
    step: str | None = None
    """The key of the step that raised it."""
    status: str
    """The status of the execution: failed, or dead if its workers crashed too often."""
    compensated: Sequence[str] | None = None
    """The names of the calls that were undone before."""

    @property
    def about(self) -> str | None:
        """Return the key of the step for which the execution has failed."""
        return self.step

    def said(self) -> dict[str, Any]:
        """Return the fields; after a compensation in the order of the ending that was planned."""
        fields = Event.said(self)
        return fields if self.compensated is None else {"status": self.status, **fields}


@journaled
class Cancelled(Event):
    """Records that the execution was cancelled."""

    KIND: ClassVar[Kind] = "cancelled"

    reason: str
    """The reason that was given."""
    compensated: Sequence[str] | None = None
    """The names of the calls that were undone before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEnding(Fields):
    """How an execution is to end when all it has done is undone: cancelled with a reason, or failed with an error."""

    status: str
    reason: str | None = None
    error: Described | None = None
    step: str | None = None

    def after_undoing(self, compensated: Sequence[str]) -> Failed | Cancelled:
        """Return the last record's event, with the names of the calls that were undone."""
        if self.error is None:
            return Cancelled(reason=self.reason or "", compensated=compensated)
        return Failed(error=self.error, step=self.step, status=self.status, compensated=compensated)
