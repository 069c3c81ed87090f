"""Names of classes: under which they are stored, and which people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C", bound=type)

_STORED_NAME = "__durable_stored_name__"


def stored_as(name: str) -> Callable[[C], C]:
    """Give a class of this library a name in storage that stays when its module moves."""

    def named(cls: C) -> C:
        setattr(cls, _STORED_NAME, name)
        return cls

    return named


def stored_name(cls: type) -> str:
    """Return the name under which a class is stored: ``module:qualname``, or what ``stored_as`` gave it."""
    return str(vars(cls).get(_STORED_NAME) or f"{cls.__module__}:{cls.__qualname__}")


def shown_name(cls: type) -> str:
    """Return the name that people read: ``module.qualname``, without the module for builtins."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
