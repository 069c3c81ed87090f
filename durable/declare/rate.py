"""Rates: how often a tool may be called, by all workers of a database together.

A call that comes too early does not start, is no attempt, and holds no worker: its execution is let go and comes back
when its turn has come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from durable.declare.ids import checked
from durable.errors import InvalidConfiguration


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``calls`` attempts at once, and one every ``per / calls`` seconds after that.

    Tools whose rates have the same ``name`` (a host, say) share one, and are to give it the same numbers; without a
    name each tool has its own. Raises InvalidConfiguration.
    """

    calls: int
    per: float = 1.0
    name: str | None = None

    def __post_init__(self) -> None:
        if not (self.calls >= 1 and 0 < self.per < math.inf):
            msg = f"Rate(calls={self.calls!r}, per={self.per!r}): use at least one call in so many seconds above zero"
            raise InvalidConfiguration(msg)
        if self.name is not None:
            checked(self.name, "the name of a rate")
