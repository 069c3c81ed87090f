"""Hooks: a function of ours in the place of one of the framework's, put there once per process.

A hook does nothing outside of executions. Some of the names are private to the framework: the version range in
pyproject.toml and the tests pin them, and a name that is missing is refused before anything runs.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from durable.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

_HOOKED = "__durable_hooked__"


def hook(owner: Any, name: str, around: Callable[[Any], Any]) -> None:
    """Put ``around(original)`` in the place of ``owner.name``, unless it stands there already.

    Raises Unsupported if this version of the framework has nothing of that name.
    """
    original = getattr(owner, name, None)
    if original is None:
        module = getattr(owner, "__module__", "")
        place = f"{module}.{owner.__name__}" if module else owner.__name__
        msg = (
            f"this version of {place.partition('.')[0]} has no {place}.{name}, where steps are recorded; install a "
            "version that the extras of durable-adapters allow"
        )
        raise Unsupported(msg)
    if not hasattr(original, _HOOKED):
        hooked = functools.wraps(original)(around(original))
        setattr(hooked, _HOOKED, True)
        setattr(owner, name, hooked)
