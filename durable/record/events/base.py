"""Base of all events: fields that are written into a record's plain JSON, and read back from it.

A field that still has its default is left out of the record. A record may have fields that this version does not
know, written by a newer one: they are left alone. A record without a field that every version writes is damaged.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Literal,
    NotRequired,
    Self,
    TypedDict,
    TypeVar,
    dataclass_transform,
)

from durable.checkpoint.errors import CorruptPayload
from durable.checkpoint.records import NewRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.checkpoint.records import Kind


class Absent(Enum):
    """Type of ABSENT."""

    ABSENT = "absent"

    def __bool__(self) -> Literal[False]:
        """Return False: there is nothing."""
        return False


ABSENT: Final = Absent.ABSENT
"""The default of a field that can be left out, and can also be written as null."""


class Described(TypedDict):
    """Exception as plain JSON: the name of its type, and its message."""

    type: str
    message: str
    transient: NotRequired[bool]
    """Of an execution: the same call, made again, takes it up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Value whose fields are written as plain JSON."""

    def said(self) -> dict[str, Any]:
        """Return the fields that are written, by name, in their order."""
        return {
            name: value
            for name, default in _layout(type(self)).items()
            if (value := getattr(self, name)) is not default
        }

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Self:
        """Return the value that a record's fields stand for. Raises CorruptPayload if one is missing."""
        layout = _layout(cls)
        try:
            return cls(**{name: value for name, value in meta.items() if name in layout})
        except TypeError as exc:
            missing = [name for name, default in layout.items() if default is MISSING and name not in meta]
            reason = f"{cls.__name__} without {', '.join(missing)}"
            raise CorruptPayload(reason) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Fields):
    """Meaning of one record of a journal."""

    KIND: ClassVar[Kind]
    """The kind of the records that say it."""

    @property
    def about(self) -> str | None:
        """Return the key of the step that its fields name, if they name one; it need not be the step of the record."""
        return None

    def pack(self, step_key: str | None = None, value: bytes | None = None) -> NewRecord:
        """Return the record that says this, for a step, with a value that is encoded already."""
        return NewRecord(self.KIND, step_key, self.said(), value)


E = TypeVar("E", bound=Event)
KINDS: dict[str, type[Event]] = {}
"""Of each kind of record, the type that reads it."""

VARIANTS: dict[tuple[str, str], type[Event]] = {}
"""Of a kind of record that says several things, the types that read it, by the mark of each."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
def journaled(cls: type[E]) -> type[E]:
    """Make a frozen dataclass with slots of an event, with which journals are read from then on.

    Its ``VARIANT`` tells it apart from others of its kind: of a note the event, of a checkpoint a field of its own.
    """
    event_type: type[E] = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    variant = cls.__dict__.get("VARIANT")
    if variant is not None:
        VARIANTS[cls.KIND, variant] = event_type
    else:
        KINDS[cls.KIND] = event_type
    return event_type


_LAYOUTS: dict[type[Fields], dict[str, Any]] = {}


def _layout(cls: type[Fields]) -> dict[str, Any]:
    """Return the fields in their order, each with its default."""
    layout = _LAYOUTS.get(cls)
    if layout is None:
        layout = _LAYOUTS[cls] = {declared.name: declared.default for declared in fields(cls)}
    return layout
