"""Looks: whether an object still is, in all its parts, what it was when it was stored; without encoding it again.

An object is not trusted to be unchanged because it is the same object: a message may be changed in place. So it is
looked at part by part: a part that is the same immutable object is unchanged, one that can be changed is compared by
its content. That takes a twentieth of the time of encoding a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from operator import is_
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_ATOMS = frozenset({str, int, float, bool, type(None), bytes})
_CONTAINERS = frozenset({dict, list, tuple})
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Look:
    """An object as it was: a plain value, or a pydantic model of plain values."""

    item: Any
    parts: Sequence[Any]
    names: Sequence[str] | None
    changeable: Sequence[tuple[Any, bytes]]
    rest: tuple[Any, ...]

    def holds(self, item: Any) -> bool:
        """Whether this is the same object, unchanged. Another one may still be equal: that is not looked at."""
        if item is not self.item:
            return False
        if type(item) in _ATOMS:
            return True
        state = item.__dict__ if self.rest else item
        values: Collection[Any] = state if self.names is None else state.values()
        return (
            len(values) == len(self.parts)
            and all(map(is_, values, self.parts))
            and (self.names is None or list(state) == self.names)
            and (not self.rest or _rest(item) == self.rest)
            and all(_content(part) == content for part, content in self.changeable)
        )


def look(item: Any) -> Look | None:
    """What an object is now; None if not all of it can be seen."""
    if type(item) in _ATOMS:
        return Look(item, (), None, (), ())
    rest = _rest(item) if isinstance(item, BaseModel) else ()
    state = item.__dict__ if rest else item
    if type(state) not in _CONTAINERS:
        return None
    named = type(state) is dict
    if named and not all(type(name) is str for name in state):
        return None
    parts = list(state.values() if named else state)
    beside = (item.__pydantic_extra__, item.__pydantic_private__) if rest else ()
    changeable = []
    for part in (*parts, *beside):
        if type(part) not in _ATOMS:
            content = _content(part)
            if content is None:
                return None
            changeable.append((part, content))
    return Look(item, parts, list(state) if named else None, changeable, rest)


def _rest(item: BaseModel) -> tuple[Any, ...]:
    """What a model is beside its fields; of its two dicts only which they are, their content is looked at as parts."""
    return frozenset(item.__pydantic_fields_set__), id(item.__pydantic_extra__), id(item.__pydantic_private__)


def _content(value: Any) -> bytes | None:
    """A digest of all of a plain value; None for anything else."""
    if not value and type(value) in _CONTAINERS:
        return b""
    if not _is_plain(value, 0):
        return None
    try:
        content = repr(value).encode("utf-8", "surrogatepass")
    except ValueError:  # an int with too many digits to be shown
        return None
    return blake2b(content, digest_size=16).digest()


def _is_plain(value: Any, depth: int) -> bool:
    """Whether the value and all in it are exactly builtins whose repr says all of them."""
    kind = type(value)
    if kind not in _CONTAINERS or depth > _DEEPEST:
        return kind in _ATOMS
    if kind is dict and not all(type(name) is str for name in value):
        return False
    items = value.values() if kind is dict else value
    return all(type(item) in _ATOMS or _is_plain(item, depth + 1) for item in items)
