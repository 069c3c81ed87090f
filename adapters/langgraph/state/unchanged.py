"""Looks: whether an object still is, in all its parts, what it was when it was stored; without encoding it again.

An object is not trusted to be unchanged because it is the same object: a message may be changed in place. So it is
looked at part by part: a part that is the same immutable object is unchanged, one that can be changed is looked at in
turn. For a message that takes a twentieth of the time of encoding it.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_ATOMS = frozenset({str, int, float, bool, type(None), bytes})
_CONTAINERS = frozenset({dict, list, tuple})
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Look:
    """An object as it was: a plain value, or a pydantic model of such, at any depth."""

    item: Any
    parts: Sequence[Any] = ()
    names: Sequence[str] | None = None
    """Of a dict and a model: the names of the parts."""
    empty: Sequence[Any] = ()
    filled: Sequence[Look] = ()
    """Parts that can be changed: those that were empty, and those that were not."""
    fields_set: frozenset[str] | None = None
    beside: tuple[Any, Any] = (None, None)
    """Of a model: which fields were given, and its dicts of extra and of private attributes."""

    def holds(self, item: Any) -> bool:
        """True if this is the same object, unchanged. Another one may still be equal: that is not looked at."""
        if item is not self.item:
            return False
        if type(item) in _ATOMS:
            return True
        if self.fields_set is None:
            return self._holds_parts(item)
        return self._holds_attributes(item) and self._holds_parts(item.__dict__)

    def _holds_attributes(self, model: Any) -> bool:
        extra, private = self.beside
        return (
            model.__pydantic_extra__ is extra
            and model.__pydantic_private__ is private
            and model.__pydantic_fields_set__ == self.fields_set
        )

    def _holds_parts(self, state: Any) -> bool:
        values: Collection[Any] = state if self.names is None else state.values()
        return (
            len(values) == len(self.parts)
            and all(map(is_, values, self.parts))
            and not any(self.empty)
            and (self.names is None or [*state] == self.names)
            and (not self.filled or all([part.holds(part.item) for part in self.filled]))  # noqa: C419 - faster
        )


def look(item: Any, depth: int = 0) -> Look | None:
    """Return what an object is now; None if not all of it can be seen."""
    if type(item) in _ATOMS:
        return Look(item)
    model = isinstance(item, BaseModel)
    state = item.__dict__ if model else item
    if type(state) not in _CONTAINERS or depth > _DEEPEST:
        return None
    named = type(state) is dict
    if named and not all(type(name) is str for name in state):
        return None
    parts = list(state.values() if named else state)
    beside = (item.__pydantic_extra__, item.__pydantic_private__) if model else (None, None)
    changeable = _changeable((*parts, *beside), depth + 1)
    if changeable is None:
        return None
    fields_set = frozenset(item.__pydantic_fields_set__) if model else None
    return Look(item, parts, [*state] if named else None, *changeable, fields_set, beside)


def _changeable(parts: Iterable[Any], depth: int) -> tuple[list[Any], list[Look]] | None:
    """Return the parts that can be changed, empty and filled ones; None if one of them cannot be seen."""
    empty, filled = [], []
    for part in parts:
        if not part and type(part) in _CONTAINERS:
            empty.append(part)
        elif type(part) not in _ATOMS:
            inner = look(part, depth)
            if inner is None:
                return None
            filled.append(inner)
    return empty, filled
