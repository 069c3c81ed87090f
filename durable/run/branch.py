"""Branches: what a fork is made of, as an app sees it, and what the app gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durable.checkpoint.records import Execution, Record


@dataclass(frozen=True, slots=True)
class Branch:
    """What a fork is made of: the old execution, its records up to the point and those beyond, and the new id."""

    execution: Execution
    kept: Sequence[Record]
    beyond: Sequence[Record]
    new_id: str


@dataclass(frozen=True, slots=True)
class Carried:
    """What an app gives a fork: its input, its thread, and what commits together with it."""

    input: Any
    thread: str | None
    companions: Sequence[Callable[[Any], object]] = field(default=())
