"""Wait inside a process. What is compared between machines is the database's time, never this."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Clock of a process: monotonic seconds and sleeps. A test passes another one in."""

    def monotonic(self) -> float:
        """Return seconds that only grow, also while this process is stopped."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Let other tasks run meanwhile."""
        await asyncio.sleep(seconds)
