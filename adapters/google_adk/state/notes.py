"""Notes of the session and artifact services: what an execution has done to them beside appending events."""

from __future__ import annotations

from typing import ClassVar

from durable.record.events import Note, journaled


@journaled
class SessionCreated(Note):
    """A session was created."""

    VARIANT: ClassVar[str] = "session_created"

    session: str
    """The id of the session."""


@journaled
class SessionDeleted(Note):
    """A session was deleted, with its events and its own state."""

    VARIANT: ClassVar[str] = "session_deleted"

    session: str
    """The id of the session."""


@journaled
class ArtifactSaved(Note):
    """A version of an artifact was saved."""

    VARIANT: ClassVar[str] = "artifact_saved"

    file: str
    """The name of the artifact."""


@journaled
class ArtifactDeleted(Note):
    """An artifact was deleted, with all its versions."""

    VARIANT: ClassVar[str] = "artifact_deleted"

    file: str
    """The name of the artifact."""
