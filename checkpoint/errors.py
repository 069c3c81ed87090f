"""Storage errors: what the database, the codec and the rows refuse.

    DurableError
    ├── InvalidConfiguration      a url, option or name that cannot be used
    ├── StorageError
    │   ├── DatabaseUnavailable   not reachable, or it did not answer in time
    │   ├── DatabaseBusy          locked by another writer for longer than the deadline
    │   ├── DatabaseReadOnly
    │   ├── DatabaseFull
    │   ├── NotADatabase
    │   ├── SchemaTooNew          written by a newer version of this library
    │   └── JournalCorrupt        a gap, or a broken digest chain
    ├── CodecError
    │   ├── NotEncodable          a value that would not survive a round trip
    │   ├── PayloadTooLarge
    │   ├── UnknownType           stored under a type that is not on the allow-list
    │   └── CorruptPayload
    ├── ExecutionNotFound
    ├── ExecutionConflict         the same id with another input
    ├── ExecutionBusy             owned by a live worker
    ├── ExecutionClosed           already succeeded, failed, cancelled or dead
    ├── ThreadBusy                the thread has another open execution
    ├── SignalConflict            the same signal id with another name or payload
    ├── LeaseLost                 another worker owns the execution now
    ├── InterruptNotFound
    ├── AlreadyDecided            another decision came first
    ├── DecisionExpired           the interrupt's time was over
    ├── SessionNotFound
    ├── SessionExists
    ├── SessionChanged            written by somebody else since it was read
    └── ItemConflict              the same item id with another content

``durable.errors`` has the whole tree.
"""

from __future__ import annotations


class DurableError(Exception):
    """Something in durable went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class InvalidConfiguration(DurableError):
    """This configuration cannot be used."""


class StorageError(DurableError):
    """Storage could not do what was asked."""


class DatabaseUnavailable(StorageError):
    """No connection to the database, or no answer from it within the deadline."""


class DatabaseBusy(StorageError):
    """Another writer held the database for longer than the deadline; try again."""


class DatabaseReadOnly(StorageError):
    """This database cannot be written; check the permissions of the file and of its folder."""


class DatabaseFull(StorageError):
    """No space left for the database; free some and retry, nothing recorded was lost."""


class NotADatabase(StorageError):
    """This file is not a database; point the url at another file."""


class SchemaTooNew(StorageError):
    """This schema was written by a newer version of durable-adapters; upgrade this process."""


class JournalCorrupt(StorageError):
    """Records are missing in the journal, or its digest chain is broken."""


class CodecError(DurableError):
    """Some value cannot be stored or read back."""


class NotEncodable(CodecError):
    """This value would not survive a round trip through storage."""

    def __init__(self, path: str, type_name: str, remedy: str = "") -> None:
        self.path = path
        self.type_name = type_name
        super().__init__(
            f"{path} cannot be stored: {type_name}; "
            + (remedy or "return plain data, or name the type in Runtime(types=[...])")
        )


class PayloadTooLarge(CodecError):
    """This value is larger than the hard limit."""

    def __init__(self, size: int, limit: int, label: str = "payload") -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            f"{label} is {size} bytes, the limit is {limit}; store it elsewhere (a file, an object store) "
            "and keep a reference"
        )


class UnknownType(CodecError):
    """This stored value names a type that is not on the allow-list."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        super().__init__(
            f"stored value has type {type_name}, which is not on the allow-list; "
            "name it in Runtime(types=[...]) if it is yours"
        )


class CorruptPayload(CodecError):
    """These stored bytes cannot be read by this version."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"stored payload cannot be read: {reason}")


class ExecutionNotFound(DurableError):
    """No execution has this id in this namespace."""

    def __init__(self, execution_id: str, namespace: str) -> None:
        super().__init__(f"no execution {execution_id!r} in namespace {namespace!r}; `durable list` shows them")


class ExecutionConflict(DurableError):
    """Another execution has this id: its input, app, thread or namespace differs."""

    def __init__(self, execution_id: str, field: str) -> None:
        super().__init__(
            f"execution {execution_id!r} exists with another {field}; use a new id, or the same {field} to resume it"
        )


class ExecutionBusy(DurableError):
    """Another live worker owns the execution."""

    def __init__(self, execution_id: str, owner: str, seconds: float) -> None:
        super().__init__(
            f"execution {execution_id!r} is owned by {owner} for another {seconds:.1f} s; "
            "wait for it with runtime.get(id).result(), or retry when its lease has expired"
        )


class ExecutionClosed(DurableError):
    """This execution has ended; nothing can be changed in it."""

    def __init__(self, execution_id: str, status: str, action: str) -> None:
        super().__init__(f"cannot {action} execution {execution_id!r}: it is {status}")


class ThreadBusy(DurableError):
    """At most one execution per thread may be open."""

    def __init__(self, thread: str, execution_id: str, status: str) -> None:
        self.execution_id = execution_id
        super().__init__(
            f"thread {thread!r} has the open execution {execution_id!r} ({status}); resume it (the same input or "
            "None, or runtime.recover()), wait for it, or cancel it before new input"
        )


class SignalConflict(DurableError):
    """Another signal was sent under this id, with another name or payload."""

    def __init__(self, execution_id: str, sent_as: str) -> None:
        super().__init__(
            f"signal {sent_as!r} was sent to execution {execution_id!r} before with another name or payload; "
            "give each signal an id of its own"
        )


class LeaseLost(DurableError):
    """Another worker owns the execution now; nothing was written."""

    def __init__(self, execution_id: str, epoch: int) -> None:
        super().__init__(
            f"execution {execution_id!r} was claimed by another worker after epoch {epoch}; nothing was written, "
            "the new owner goes on"
        )


class InterruptNotFound(DurableError):
    """No such interrupt in this namespace."""

    def __init__(self, interrupt_id: str) -> None:
        super().__init__(f"no interrupt {interrupt_id!r}; `durable approvals list` shows the open ones")


class AlreadyDecided(DurableError):
    """Another decision came first; the first one counts."""

    def __init__(self, interrupt_id: str, status: str, by: str | None) -> None:
        super().__init__(f"interrupt {interrupt_id!r} is already {status}" + (f" by {by}" if by else ""))


class DecisionExpired(DurableError):
    """This decision came after the interrupt's time was over."""

    def __init__(self, interrupt_id: str) -> None:
        super().__init__(f"interrupt {interrupt_id!r} expired before this decision; the execution went on without it")


class SessionNotFound(DurableError):
    """No session has this id."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no session {session_id!r}; create it first, it may have been deleted meanwhile")


class SessionExists(DurableError):
    """Another session has this id already."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id!r} exists already; read it, or create one with another id")


class SessionChanged(DurableError):
    """Somebody else has written to the session since it was read; nothing was written."""

    def __init__(self, session_id: str, expected: int, actual: int) -> None:
        super().__init__(
            f"session {session_id!r} is at revision {actual}, it was read at {expected}: read it again, then write"
        )


class ItemConflict(DurableError):
    """Another item with this id, and other content, is in the session; nothing was written."""

    def __init__(self, session_id: str, item_id: str) -> None:
        super().__init__(f"session {session_id!r} has another item {item_id!r}; give the new one an id of its own")
