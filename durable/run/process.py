"""Process: what runs executions, as the entries on this floor see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from durable.live.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.checkpoint.journal.writer import Writer
    from durable.checkpoint.records import Interrupt
    from durable.run.app import App


class Process(Services, Protocol):
    """``Runtime``, seen from the entries that it puts together."""

    writer: Writer

    @property
    def apps(self) -> tuple[str, ...]:
        """Return the names of all apps of this process."""

    def app(self, name: str) -> App:
        """Return the app of this name. Raises UnknownApp."""

    @property
    def start(self) -> Callable[..., Any]:
        """Return the function that records an execution for a worker to run, and returns a handle to it."""

    def interrupts(self, status: str | None = "open", **filters: Any) -> list[Interrupt]:
        """Return interrupts, oldest first."""

    def reopen(self, execution_id: str) -> None:
        """Let an execution that failed, died or waits be claimed again."""
