"""Sessions and their items."""

from __future__ import annotations

from durable.checkpoint.errors.base import DurableError


class SessionNotFound(DurableError):
    """No session has this id."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no session {session_id!r}; create it first, it may have been deleted meanwhile")


class SessionExists(DurableError):
    """A session has this id already."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id!r} exists already; read it, or create one with another id")


class SessionChanged(DurableError):
    """Somebody else has written to the session since it was read; nothing was written."""

    def __init__(self, session_id: str, expected: int, found: int) -> None:
        super().__init__(
            f"session {session_id!r} is at revision {found}, it was read at {expected}: read it again, then write"
        )


class ItemConflict(DurableError):
    """An item with the same id and another content is in the session; nothing was written."""

    def __init__(self, session_id: str, item_id: str) -> None:
        super().__init__(f"session {session_id!r} has another item {item_id!r}; give the new one an id of its own")
