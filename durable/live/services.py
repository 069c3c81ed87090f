"""Services: what the core needs of the process it runs in, and no more.

``Runtime`` fulfils it. The floors below it see this port only, so that a decision can be tested without a runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from durable.checkpoint.codec.codec import Codec
    from durable.checkpoint.database import Database
    from durable.checkpoint.records import Interrupt
    from durable.declare.budget import Budget
    from durable.declare.policies import Policies
    from durable.declare.policy import OnRepeat
    from durable.live.clock import Clock
    from durable.live.dependencies import Dependencies
    from durable.live.leases import Leases
    from durable.live.pacing import Pacing
    from durable.secrets.store import SecretStore


class Observer(Protocol):
    """Whoever is told of the work: ``durable.telemetry``. Its arguments are the segment, call and attempt at hand."""

    def step(self, placed: Any) -> AbstractContextManager[object]:
        """Return a context around one step."""

    def attempt(self, pending: Any) -> AbstractContextManager[Any]:
        """Return a context around one attempt; it yields a function to hand the result through."""

    def completing(self, pending: Any, ended: Any, seconds: float) -> AbstractContextManager[None]:
        """Return a context in which an attempt is recorded."""

    def replayed(self, placed: Any) -> None:
        """Take note that a step was answered from the journal."""

    def interrupt_opened(self, segment: Any, interrupt_id: str, kind: Any, step_key: str) -> None:
        """Take note that an execution waits for an answer."""

    def decided(self, segment: Any, answer: Any) -> None:
        """Take note of a decision that is taken into the journal."""

    def opened(self, segment: Any) -> None:
        """Take note of a claim."""

    def segment(self, segment: Any) -> AbstractContextManager[None]:
        """Return a context for work of this segment."""

    def ended(self, segment: Any, status: str, error: BaseException | None = None) -> None:
        """Take note that an execution was let go or has ended."""


class Services(Protocol):
    """The process as the core sees it: where it stores, how it encodes, whose clock it reads, what governs it."""

    namespace: str
    codec: Codec
    database: Database
    clock: Clock
    secrets: SecretStore
    leases: Leases
    policies: Policies
    budget: Budget | None
    compensate: bool
    max_attempts: int
    dependencies: Dependencies
    on_repeat: OnRepeat
    pace: Pacing

    @property
    def telemetry(self) -> Observer:
        """The observer that is told of the work."""

    def load(self, stored: bytes) -> Any:
        """Return the value of stored bytes, blob references resolved. Raises UnknownType, CorruptPayload."""

    def undo(self, scope: Any, outcome: Any, effect: Any) -> None:
        """Undo an effect of another execution, in a step below the call that would repeat it."""

    def interrupt(self, interrupt_id: str) -> Interrupt:
        """Return an interrupt as it stands in the inbox. Raises InterruptNotFound."""

    def roles_of(self, person: str) -> tuple[str, ...]:
        """Return the roles that a person has."""

    def register_types(self, types: Iterable[type]) -> None:
        """Put types on the allow-list of what is rebuilt from storage."""
