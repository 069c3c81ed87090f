"""A story: what a scenario's lives left behind, to be held against the invariants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from durable.testing.outside import Line
    from tests.crash.facts import Facts


@dataclass(frozen=True, slots=True)
class Story:
    """The facts that each life found when it began, and the last ones at the end; the ledger; where lives were killed;
    the outputs (repr).

    ``error`` is why the last life did not come to the end, None if it did.
    """

    facts: Sequence[Facts]
    ledger: Sequence[Line]
    killed: Sequence[tuple[int, str]]
    outputs: Mapping[str, str]
    error: str | None = None
