"""Seams: names inside the SDK that are put in place of, once per process, and do nothing outside of executions.

Some are private to the SDK; the version range in pyproject.toml and the tests pin them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from durable.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

_HOOKED = "__durable_hooked__"


def seam(owner: Any, name: str, around: Callable[[Any], Any]) -> None:
    """Put ``around(what is there)`` in the place of ``owner.name``, if that was not done before.

    Raises Unsupported if this version of the SDK has nothing of that name.
    """
    found = getattr(owner, name, None)
    if found is None:
        msg = (
            f"this version of openai-agents has no {getattr(owner, '__name__', owner)}.{name}; install one that "
            "durable-adapters[openai] allows"
        )
        raise Unsupported(msg)
    if not hasattr(found, _HOOKED):
        hooked = functools.wraps(found)(around(found))
        setattr(hooked, _HOOKED, True)
        setattr(owner, name, hooked)
