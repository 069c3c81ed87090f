"""Events about a framework's own state: the record commits in the transaction that stores that state."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from durable.record.events.base import Event, journaled

if TYPE_CHECKING:
    from durable.checkpoint.records import Kind


@journaled
class Checkpoint(Event):
    """Records that a framework has stored some of its state."""

    KIND: ClassVar[Kind] = "checkpoint"


@journaled
class GraphCheckpoint(Checkpoint):
    """LangGraph has stored a checkpoint of a thread."""

    VARIANT: ClassVar[str] = "source"

    checkpoint: str
    """The id of the checkpoint."""
    step: int | None
    """The number of the superstep."""
    source: str | None
    """What has led to it: input, loop, update or fork."""
    ns: str | None = None
    """The namespace, where it is a subgraph's; of a long one, the end."""


@journaled
class TaskWrites(Checkpoint):
    """LangGraph has stored what one task wrote, on top of a checkpoint."""

    VARIANT: ClassVar[str] = "task"

    checkpoint: str
    """The id of the checkpoint."""
    task: str
    """The id of the task."""
    channels: str
    """The names of the channels; of many, the first ones."""
    ns: str | None = None
    """The namespace, where it is a subgraph's; of a long one, the end."""


@journaled
class SessionEvent(Checkpoint):
    """ADK has stored an event of a session."""

    VARIANT: ClassVar[str] = "session"

    event: str
    """The id of the event."""
    session: str
    """The id of the session."""
