"""Rows as they are read back: an execution, a record of its journal, an interrupt.

They are frozen; payloads are decoded when asked for. Instants (``*_at``) are epoch seconds on the database's clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from durable.checkpoint.errors import CorruptPayload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Status = Literal["pending", "running", "suspended", "succeeded", "failed", "cancelled", "dead"]
Kind = Literal[
    "started",
    "claimed",
    "step_started",
    "step_done",
    "step_failed",
    "step_retry",
    "interrupt_opened",
    "interrupt_closed",
    "signal",
    "timer",
    "checkpoint",
    "note",
    "succeeded",
    "failed",
    "cancelled",
]
InterruptName = Literal["approval", "question", "choice", "in_doubt", "drift", "repeat"]
InterruptStatus = Literal["open", "decided", "consumed", "expired", "cancelled"]

KINDS: frozenset[str] = frozenset(get_args(Kind))
ENDED: frozenset[str] = frozenset({"succeeded", "failed", "cancelled", "dead"})


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution as it stands in the database."""

    id: str
    namespace: str
    app: str
    app_version: str | None
    thread: str | None
    queue: str
    priority: int
    status: Status
    epoch: int
    attempts: int
    lease_owner: str | None
    lease_expires_at: float | None
    run_after: float | None
    waits_for: str | None
    deadline_at: float | None
    cancel_reason: str | None
    compensate: bool | None
    parent: str | None
    correlation_id: str | None
    tags: Mapping[str, str]
    traceparent: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    error: Mapping[str, Any] | None
    input_digest: str = field(repr=False)
    stored_input: bytes = field(repr=False)
    stored_output: bytes | None = field(repr=False)
    load: Callable[[bytes], Any] = field(repr=False, compare=False)

    @property
    def input(self) -> Any:
        """Return what it was started with. Raises UnknownType for types this process does not know."""
        return self.load(self.stored_input)

    @property
    def output(self) -> Any:
        """Return its output; None until it has succeeded. Raises UnknownType for types this process does not know."""
        return None if self.stored_output is None else self.load(self.stored_output)

    @property
    def ended(self) -> bool:
        """True if it can never run again by itself."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a journal. ``meta`` is plain JSON; ``stored`` is the recorded value, if there is one."""

    execution_id: str
    seq: int
    epoch: int
    kind: Kind
    step_key: str | None
    at: float
    meta: Mapping[str, Any]
    stored: bytes | None = field(repr=False)
    digest: bytes = field(repr=False)
    load: Callable[[bytes], Any] = field(repr=False, compare=False)

    def value(self) -> Any:
        """Return the recorded value, decoded; None if the record has none. Raises UnknownType."""
        return None if self.stored is None else self.load(self.stored)

    @property
    def payload(self) -> dict[str, Any]:
        """Return what the record says: its plain fields, and ``value`` where one was recorded."""
        return dict(self.meta) if self.stored is None else {**self.meta, "value": self.value()}


@dataclass(frozen=True, slots=True)
class NewRecord:
    """Record about to be appended: ``meta`` must be plain JSON, ``value`` is encoded already."""

    kind: Kind
    step_key: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """Rules on who may decide, and what happens if nobody does.

    ``approvers`` are names, and roles as ``role:finance``; none means anyone. ``requester`` asked for the call, and so
    must not decide on it. ``escalate_to`` are approvers who are added when the time is over, for ``expires_in`` seconds
    more. ``delegations`` say who handed the decision to whom: ``by``, ``to``, ``at``, ``comment``.
    """

    approvers: tuple[str, ...] = ()
    requester: str | None = None
    escalate_to: tuple[str, ...] = ()
    expires_in: float | None = None
    delegations: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Question that an execution waits on, and its answer once there is one.

    It is decided when ``required`` persons have given the same answer. ``votes`` are all answers that were tried, in
    order: ``by``, ``at``, ``digest`` (the same answer has the same), and ``refused`` with the error for those that did
    not count (``repeated`` for the same answer of the same person, which is no error).
    """

    id: str
    namespace: str
    execution_id: str
    step_key: str
    kind: InterruptName
    tool: str | None
    arguments_hash: str | None
    rule: str | None
    status: InterruptStatus
    decided_by: str | None
    decided_at: float | None
    comment: str | None
    expires_at: float | None
    required: int
    votes: tuple[Mapping[str, Any], ...]
    terms: Terms
    created_at: float
    stored_subject: bytes = field(repr=False)
    stored_decision: bytes | None = field(repr=False)
    load: Callable[[bytes], Any] = field(repr=False, compare=False)

    @property
    def subject(self) -> Any:
        """Return what is asked about: ``{"arguments": ...}`` of a tool, or ``{"question": ..., "schema": ...}``."""
        return self.load(self.stored_subject)

    @property
    def arguments(self) -> Any:
        """Return the arguments of the call that is asked about; None for a question."""
        subject = self.subject
        return subject.get("arguments") if isinstance(subject, dict) else None

    @property
    def decision(self) -> Any:
        """Return the answer as it was given; None while there is none."""
        return None if self.stored_decision is None else self.load(self.stored_decision)


def pack(record: NewRecord) -> bytes:
    """Return a record's payload: one line of JSON, then the value if there is one.

    The value is an encoded line, or a blob reference.
    """
    line = json.dumps(dict(record.meta), separators=(",", ":")).encode()
    return line if record.value is None else line + b"\n" + record.value


def unpack(payload: bytes) -> tuple[dict[str, Any], bytes | None]:
    """Return what ``pack`` was given: the plain fields, and the value's bytes. Raises CorruptPayload."""
    try:
        line, newline, value = bytes(payload).partition(b"\n")
        return json.loads(line), (value if newline else None)
    except (ValueError, TypeError) as exc:
        reason = "the fields of a record are no JSON"
        raise CorruptPayload(reason) from exc
