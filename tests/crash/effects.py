"""What the steps of scenarios do to the world."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from durable import Retry, current
from durable.testing.outside import Refused

if TYPE_CHECKING:
    from durable.testing.outside import Outside

PATIENCE = 0.02
"""Seconds that a slow outside takes at most."""

AGAIN = Retry(attempts=9, initial=0.001, on=(Refused,))


def send(world: Outside, name: str, refuse_first: int = 0, **arguments: Any) -> str:
    """An effect of the step that runs now."""
    return world.effect(name, arguments, key=current().idempotency_key, refuse_first=refuse_first)


async def later_than(world: Outside, effect: str) -> None:
    """The outside is slow: it answers after another effect has arrived, or after a while if that does not come."""
    give_up = time.monotonic() + PATIENCE
    while not world.happened(effect) and time.monotonic() < give_up:
        await asyncio.sleep(0.001)
