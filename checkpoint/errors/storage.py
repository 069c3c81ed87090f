"""The database, and the values in it."""

from __future__ import annotations

from durable.checkpoint.errors.base import DurableError


class StorageError(DurableError):
    """The database could not do what was asked."""


class DatabaseUnavailable(StorageError):
    """The database is not reachable, or did not answer within the deadline."""


class DatabaseBusy(StorageError):
    """Another writer held the database for longer than the deadline; try again."""


class DatabaseReadOnly(StorageError):
    """The database cannot be written; check the permissions of the file and of its folder."""


class DatabaseFull(StorageError):
    """No space left for the database; free some and retry, nothing recorded was lost."""


class NotADatabase(StorageError):
    """The file is not a database; point the url at another file."""


class SchemaTooNew(StorageError):
    """The schema was written by a newer version of durable-adapters; upgrade this process."""


class JournalCorrupt(StorageError):
    """The journal has a gap or its digest chain is broken."""


class CodecError(DurableError):
    """A value cannot be stored or read back."""


class NotEncodable(CodecError):
    """A value that would not survive a round trip through storage."""

    def __init__(self, path: str, type_name: str, remedy: str = "") -> None:
        self.path = path
        self.type_name = type_name
        super().__init__(
            f"{path} cannot be stored: {type_name}; "
            + (remedy or "return plain data, or name the type in Runtime(types=[...])")
        )


class PayloadTooLarge(CodecError):
    """A value larger than the hard limit."""

    def __init__(self, size: int, limit: int, what: str = "payload") -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            f"{what} is {size} bytes, the limit is {limit}; store it elsewhere (a file, an object store) "
            "and keep a reference"
        )


class UnknownType(CodecError):
    """A stored value names a type that is not on the allow-list."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        super().__init__(
            f"stored value has type {type_name}, which is not on the allow-list; "
            "name it in Runtime(types=[...]) if it is yours"
        )


class CorruptPayload(CodecError):
    """Stored bytes that this version cannot read."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"stored payload cannot be read: {reason}")
