"""Allowed: a call that its policy refuses does not run; the refusal is its outcome, with the reason for the agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.declare.rules import applies
from durable.record.events import StepFailed
from durable.step.facts import facts_of

if TYPE_CHECKING:
    from durable.checkpoint.records import NewRecord
    from durable.declare.rules import Facts
    from durable.record.replay import Outcome
    from durable.step.call import StepCall


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call is not allowed; ``reason`` is why, in words for the agent."""

    reason: str

    def record(self, call: StepCall, key: str) -> NewRecord:
        """Return the call's outcome: rejected by its policy, as if a person had done it."""
        return StepFailed.of(call.about, rejected=self.reason, not_allowed=True).pack(key)


def refusal(call: StepCall, outcome: Outcome, arguments: Any) -> Refusal | None:
    """Return the reason the policy refuses this call, or None. An allowed call is counted."""
    rule = call.policy.allowed_when
    if rule is None or (call.composite and call.scope.segment.replay.entered(outcome.key)):
        return None
    ledger = call.scope.segment.ledger
    with ledger.lock:  # of calls side by side, each sees those that were allowed before it
        refused = _refused(rule, facts_of(call, arguments))
        if refused is None:
            ledger.allow(outcome.key, call.name)
        return refused


def _refused(rule: Any, facts: Facts) -> Refusal | None:
    shown = rule if isinstance(rule, str) else getattr(rule, "__name__", type(rule).__name__)
    try:
        if applies(rule, facts):
            return None
    except Exception as exc:  # noqa: BLE001 - a rule that cannot be evaluated is never taken for a yes
        return Refusal(f"the policy's rule {shown!r} could not be evaluated: {type(exc).__name__}: {exc}")
    return Refusal(f"the policy allows this call only where {shown!r} is true")
