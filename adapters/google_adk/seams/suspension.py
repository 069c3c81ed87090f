"""Waiting, as ADK shows it: what it makes of a branch that waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durable.live.segment import Segment


def waits_inside(segment: Segment, error: BaseException) -> bool:
    """Whether this is what ADK makes of a branch that waits: it cancels, or closes, the branches beside it."""
    task = asyncio.current_task()
    if not segment.waits or (task is not None and task.cancelling()):
        return False
    return not isinstance(error, BaseExceptionGroup) or error.subgroup(Exception) is None
