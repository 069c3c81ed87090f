"""What lies outside of the apps: it counts what arrives there, and under which idempotency key.

One that is ``refusing`` an effect turns its first call away; one that ``dies_in`` an effect is a process that SIGKILL
ends right after it, before anything of it is on record.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from durable import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Outside:
    """``calls`` are (effect, idempotency key, whether it was done), in order; ``asked`` counts the model's answers."""

    def __init__(
        self,
        refusing: Iterable[str] = (),
        dies_in: str | None = None,
        tell: Callable[[tuple[str, str, bool]], object] | None = None,
    ) -> None:
        self.calls: list[tuple[str, str, bool]] = []
        self.asked = 0
        self._refusing = list(refusing)
        self._dies_in = dies_in
        self._tell = tell

    @property
    def effects(self) -> list[str]:
        """What was done, in order."""
        return [effect for effect, _, done in self.calls if done]

    def do(self, effect: str, key: str | None = None) -> str:
        """Do it, once a call; returns what the other side answers. Raises ConnectionError if it refuses."""
        refused = effect in self._refusing
        call = (effect, key or current().idempotency_key, not refused)
        self.calls.append(call)
        if self._tell is not None:
            self._tell(call)
        if refused:
            self._refusing.remove(effect)
            msg = f"{effect} is refused"
            raise ConnectionError(msg)
        if effect == self._dies_in:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{effect} done"
