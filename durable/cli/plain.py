"""What ``--json`` prints: plain dicts with the same keys in every release, and in every one of them.

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


def execution(found: Execution) -> dict[str, Any]:
    """An execution without its payloads."""
    told = {name: getattr(found, name) for name in _EXECUTION}
    return told | {"tags": dict(found.tags), "error": None if found.error is None else dict(found.error)}


def whole_execution(found: Execution, waits: list[Interrupt]) -> dict[str, Any]:
    """An execution with its input, its output and its open interrupts."""
    told = {"input": found.input, "output": found.output, "interrupts": [interrupt(one) for one in waits]}
    return execution(found) | told


def record(found: Record) -> dict[str, Any]:
    """One record of a journal."""
    return {
        "seq": found.seq,
        "epoch": found.epoch,
        "kind": found.kind,
        "step_key": found.step_key,
        "at": found.at,
        "meta": dict(found.meta),
        "value": found.value(),
        "digest": found.digest.hex(),
    }


def interrupt(found: Interrupt) -> dict[str, Any]:
    """An interrupt with what it asks, and its answer."""
    told = {name: getattr(found, name) for name in _INTERRUPT}
    return told | {
        "votes": [dict(vote) for vote in found.votes],
        "approvers": list(found.terms.approvers),
        "delegations": [dict(one) for one in found.terms.delegations],
    }
