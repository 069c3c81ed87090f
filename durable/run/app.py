"""Apps: what a process can run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.live.segment import Segment
    from durable.run.branch import Branch, Carried


@dataclass(frozen=True, slots=True)
class App:
    """Something this process can run: ``run(segment)`` returns the output, or an awaitable of it.

    ``accepts(input, execution_id)`` returns the input as it is stored, or raises for one that could not run.
    """

    name: str
    run: Callable[[Segment], Any] = field(repr=False)
    version: str | None = None
    forked: Callable[[Branch], Carried] | None = field(default=None, repr=False)
    """What goes with a fork of it; None where it keeps nothing outside of its journal."""
    accepts: Callable[[Any, str], Any] | None = field(default=None, repr=False)
