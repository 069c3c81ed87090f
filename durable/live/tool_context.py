"""Context of a tool: what it may know of the call it serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.declare.ids import new_id
from durable.declare.signature import Injected
from durable.live.dependencies import Dependencies
from durable.secrets.logs import redacting
from durable.secrets.store import Secrets, SecretStore

if TYPE_CHECKING:
    import logging


@dataclass(frozen=True, slots=True)
class ToolContext(Injected):
    """Context of the call that a tool serves.

    ``idempotency_key`` is the same on every attempt and worker: hand it to the outside system. ``deadline_at`` is an
    instant in epoch seconds. ``dependencies`` are those of ``Runtime(dependencies=...)``. ``connection`` is the open
    transaction of a ``transactional`` tool, None for others.
    """

    execution_id: str
    step_key: str
    attempt: int
    idempotency_key: str
    deadline_at: float | None
    thread: str | None
    dependencies: Dependencies = field(default_factory=Dependencies, repr=False)
    secrets: Secrets = field(default_factory=Secrets)
    log: logging.Logger | logging.LoggerAdapter[logging.Logger] = field(default=redacting("durable.tool"), repr=False)
    connection: Any = field(default=None, repr=False)


_OUTSIDE = SecretStore()


def detached(tool: str, secrets: tuple[str, ...] = ()) -> ToolContext:
    """Return a context for a tool that is called outside any execution: nothing is recorded, the key is used once.

    Its secrets come from the environment.
    """
    return ToolContext(
        execution_id="",
        step_key=tool,
        attempt=1,
        idempotency_key=new_id(),
        deadline_at=None,
        thread=None,
        secrets=Secrets(secrets, _OUTSIDE),
    )
