"""Shown: what a person sees is what was asked. The journal has the digest of each question, as it was stored.

A question that was edited in the database is neither decided upon nor acted upon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.checkpoint.journal import journal
from durable.checkpoint.state import blobs
from durable.record.events import InterruptOpened, unpack_if

if TYPE_CHECKING:
    from durable.checkpoint.records import Interrupt
    from durable.live.services import Services


def is_as_asked(interrupt: Interrupt, subject: str | None) -> bool:
    """True if the question is the one of which the journal has this digest; an older journal has none."""
    return subject is None or blobs.digest_of(interrupt.stored_subject) == subject


def still_as_asked(services: Services, interrupt: Interrupt) -> bool:
    """True if the question is the one that its execution has asked. Reads the journal."""
    with services.database.read() as connection:
        records = journal.read(connection, interrupt.execution_id, services.load)
    for record in records:
        opened = unpack_if(record, InterruptOpened)
        if opened is not None and opened.interrupt == interrupt.id:
            return is_as_asked(interrupt, opened.subject)
    return False
