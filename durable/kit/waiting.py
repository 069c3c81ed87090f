"""Waiting beside others: a call that waits for a person lets the calls beside it go on as far as they can.

A framework that runs calls in tasks cancels the siblings of one that raises. What is on its way is let to its end
first, so that parallel tools and agents come as far as they would if nobody had to be asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durable.live.scope import Scope

ROUNDS = 10
"""Rounds of the event loop without a step on its way, after which no other call is expected to go on by itself."""

PAUSE = 0.005
"""Seconds between two looks at calls that are on their way."""


async def others_first(here: Scope) -> None:
    """Return when no step is on its way but those whose bodies wait, as the caller does, in the scope ``here``."""
    waiting: list[tuple[str, ...]] = here.segment.attachments.setdefault("kit.waiting", [])
    waiting.append(here.inside)
    quiet = 0
    try:
        while quiet < ROUNDS:
            around = {key for keys in waiting for key in keys}
            busy = here.segment.busy > len(around)
            quiet = 0 if busy else quiet + 1
            await asyncio.sleep(PAUSE if busy else 0)
    finally:
        waiting.remove(here.inside)
