"""Replayed: a call that has an outcome on record is answered by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.step.verdicts import PASS, Finished

if TYPE_CHECKING:
    from durable.step.call import Placed
    from durable.step.verdicts import Verdict


def gate(placed: Placed) -> Verdict:
    """Return Finished if the step has ended."""
    return Finished(replayed=True) if placed.outcome.ended else PASS
