"""Print plain dicts for ``--json``, with the same keys in every release.

Instants (``*_at``) are epoch seconds on the database's clock. Payloads are shown as plain JSON, whatever their types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durable.checkpoint.records import Execution, Interrupt, Record

_EXECUTION = (
    "id",
    "namespace",
    "app",
    "app_version",
    "thread",
    "queue",
    "priority",
    "status",
    "epoch",
    "attempts",
    "lease_owner",
    "lease_expires_at",
    "run_after",
    "deadline_at",
    "cancel_reason",
    "parent",
    "correlation_id",
    "created_at",
    "started_at",
    "finished_at",
)
_INTERRUPT = (
    "id",
    "namespace",
    "execution_id",
    "step_key",
    "kind",
    "status",
    "tool",
    "subject",
    "arguments",
    "arguments_hash",
    "rule",
    "required",
    "decision",
    "decided_by",
    "decided_at",
    "comment",
    "expires_at",
    "created_at",
)


def execution(row: Execution) -> dict[str, Any]:
    """Return an execution without its payloads."""
    fields = {name: getattr(row, name) for name in _EXECUTION}
    return fields | {"tags": dict(row.tags), "error": None if row.error is None else dict(row.error)}


def whole_execution(row: Execution, waits: list[Interrupt]) -> dict[str, Any]:
    """Return an execution with its input, its output and its open interrupts."""
    payloads = {"input": row.input, "output": row.output, "interrupts": [interrupt(waiting) for waiting in waits]}
    return execution(row) | payloads


def record(row: Record) -> dict[str, Any]:
    """Return one record of a journal."""
    return {
        "seq": row.seq,
        "epoch": row.epoch,
        "kind": row.kind,
        "step_key": row.step_key,
        "at": row.at,
        "meta": dict(row.meta),
        "value": row.value(),
        "digest": row.digest.hex(),
    }


def interrupt(row: Interrupt) -> dict[str, Any]:
    """Return an interrupt with what it asks, and its answer."""
    fields = {name: getattr(row, name) for name in _INTERRUPT}
    return fields | {
        "votes": [dict(vote) for vote in row.votes],
        "approvers": list(row.terms.approvers),
        "delegations": [dict(delegation) for delegation in row.terms.delegations],
    }
