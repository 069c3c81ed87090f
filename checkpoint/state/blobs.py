"""Store payloads that are too large to stand inline once, by content.

``stash`` returns what goes in the column: the bytes themselves up to 64 KB, else a reference of 33 bytes, a zero
and the sha256 of the content. Encoded payloads are JSON and never begin with a zero.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from durable.checkpoint import schema
from durable.checkpoint.errors import JournalCorrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from durable.checkpoint.database import Database

INLINE = 64 * 1024
"""Bytes up to which a payload stands in its own row."""

_MARK = b"\0"


def stash(db: Database, data: bytes) -> tuple[bytes, Callable[[Connection], object] | None]:
    """Return what to store for ``data``, and the statement that must commit with it (None if it stands inline)."""
    if len(data) <= INLINE:
        return data, None
    digest = hashlib.sha256(data).digest()

    def keep(connection: Connection) -> object:
        row = {"digest": digest.hex(), "data": data, "created_at": db.clock()}
        return connection.execute(db.insert_or_ignore(schema.blobs), row)

    return _MARK + digest, keep


def is_reference(stored: bytes) -> bool:
    """True if this stands for a blob, and is not the bytes themselves."""
    return stored.startswith(_MARK)


def digest_of(stored: bytes) -> str:
    """Return the sha256, in hex, of the bytes that this stands for."""
    return stored[1:].hex() if is_reference(stored) else hashlib.sha256(stored).hexdigest()


def discard(connection: Connection, references: Iterable[bytes]) -> None:
    """Delete what these stand for. Whoever calls this knows that nothing else refers to it."""
    digests = [stored[1:].hex() for stored in references]
    connection.execute(delete(schema.blobs).where(schema.blobs.c.digest.in_(digests)))


def fetch(db: Database, stored: bytes) -> bytes:
    """Return the bytes that ``stash`` was given. Raises JournalCorrupt if the blob is gone or was changed."""
    if not is_reference(stored):
        return stored
    digest = stored[1:].hex()
    with db.read() as connection:
        data = connection.execute(select(schema.blobs.c.data).where(schema.blobs.c.digest == digest)).scalar()
    if data is None or hashlib.sha256(data).hexdigest() != digest:
        msg = f"blob {digest} is missing or was changed"
        raise JournalCorrupt(msg)
    return bytes(data)
