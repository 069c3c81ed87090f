"""Policies: what a tool does to the world, and what must be so before it may."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from durable.checkpoint.errors import InvalidConfiguration
from durable.retry import NO_RETRY, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Effect = Literal["read", "idempotent", "transactional", "once"]
_EFFECTS = frozenset(get_args(Effect))

KEY_TTL = 24 * 3600.0
"""Seconds for which an outside system is trusted to remember an idempotency key (Stripe's window)."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A person must say yes to the call, with exactly these arguments.

    ``when(arguments)`` limits it to the calls for which it is true. ``expires_in`` (seconds) rejects the call if
    nobody has decided by then.
    """

    when: Callable[[Mapping[str, Any]], bool] | None = None
    expires_in: float | None = None
    rule: str | None = None

    def asks(self, arguments: Any) -> bool:
        """Whether a call with these arguments needs a decision."""
        return self.when is None or bool(self.when(arguments))


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """How a tool is run.

    ``effect``: ``read`` and ``idempotent`` are run again after a crash (the second with the same idempotency key),
    ``transactional`` writes in the journal's own transaction, ``once`` never runs twice: a crash that leaves its
    outcome unknown is settled by ``reconcile(key, arguments) -> Done | NotDone | Unknown``, or by a person.
    ``timeout`` and ``key_ttl`` are seconds. Raises InvalidConfiguration.
    """

    effect: Effect = "once"
    approval: Approval | bool | None = None
    timeout: float | None = None
    retry: Retry | None = None
    reconcile: Callable[[str, Any], Any] | None = None
    idempotency_key: Callable[[Any], str] | None = None
    key_ttl: float = KEY_TTL
    secrets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.effect not in _EFFECTS:
            msg = f"effect={self.effect!r}: use one of {', '.join(get_args(Effect))}"
            raise InvalidConfiguration(msg)
        if self.timeout is not None and not 0 < self.timeout <= threading.TIMEOUT_MAX:
            msg = f"timeout={self.timeout!r}: use seconds above zero that a thread can wait, or None"
            raise InvalidConfiguration(msg)

    @property
    def gate(self) -> Approval | None:
        """The approval this policy asks for, if any."""
        if self.approval is True:
            return Approval()
        return self.approval or None

    @property
    def retries(self) -> Retry:
        """The retry rule; without one a failure is final at once."""
        return self.retry or NO_RETRY


READ = ToolPolicy(effect="read")
ONCE = ToolPolicy()


@dataclass(frozen=True, slots=True)
class Done:
    """``reconcile`` found the effect: this is its result, it does not run again."""

    result: Any = None


@dataclass(frozen=True, slots=True)
class NotDone:
    """``reconcile`` found that the effect did not happen: the call runs."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """``reconcile`` could not tell: a person is asked."""
