"""Records read as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.record.events.base import KINDS, VARIANTS, E, Event
from durable.record.events.notes import OtherNote

if TYPE_CHECKING:
    from durable.checkpoint.records import NewRecord, Record


def unpack(record: Record | NewRecord) -> Event:
    """Return what the record says. Fields that are not known here are left out; of a kind that is not, all of them.

    Raises CorruptPayload for one without a field that every version writes.
    """
    return _type_of(record).from_meta(record.meta)


def unpack_if(record: Record | NewRecord | None, event_type: type[E]) -> E | None:
    """Return what the record says if it is an event of this type, else None. Raises CorruptPayload."""
    if record is None or record.kind != event_type.KIND:
        return None
    known_type = _type_of(record)
    return known_type.from_meta(record.meta) if issubclass(known_type, event_type) else None


def _type_of(record: Record | NewRecord) -> type[Event]:
    if record.kind == "note":
        return VARIANTS.get(("note", str(record.meta.get("event", ""))), OtherNote)
    if record.kind == "checkpoint":
        marked = (VARIANTS.get((record.kind, name)) for name in record.meta)
        return next((variant for variant in marked if variant is not None), KINDS[record.kind])
    return KINDS.get(record.kind, Event)
