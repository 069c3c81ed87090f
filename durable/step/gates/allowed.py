"""Allowed: a call that its policy refuses does not run; the refusal is its outcome, with the reason for the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.declare.rules import applies
from durable.inbox.ask import asked
from durable.inbox.batch import Batch
from durable.inbox.kinds import APPROVAL
from durable.record.events import StepFailed
from durable.step.facts import facts_of
from durable.step.verdicts import PASS, Finished

if TYPE_CHECKING:
    from durable.declare.rules import Facts
    from durable.step.call import Placed
    from durable.step.verdicts import Verdict


def gate(placed: Placed) -> Verdict:
    """Return Finished if the policy refuses this call. One that was asked about is looked at with its decision."""
    if not placed.fresh or asked(placed.segment, placed.outcome, APPROVAL) is not None:
        return PASS
    refused = refusal(placed, placed.call.complete)
    return PASS if refused is None else Finished(refused)


def refusal(placed: Placed, arguments: Any) -> Batch | None:
    """Return the record by which the policy refuses the call with these arguments, or None. An allowed one is counted.

    It is as if a person had rejected it.
    """
    call, outcome, usage = placed.call, placed.outcome, placed.segment.usage
    rule = call.policy.allowed_when
    if rule is None or (call.kind.is_scope and placed.segment.replay.entered(outcome.key)):
        return None
    with usage.lock:  # of calls side by side, each sees those that were allowed before it
        reason = _refused(rule, facts_of(call, arguments, key=outcome.key))
        if reason is None:
            usage.allow(outcome.key, call.name)
            return None
    rejected = StepFailed.of(placed.about, rejected=reason, not_allowed=True)
    return Batch((rejected.pack(outcome.key),))


def _refused(rule: Any, facts: Facts) -> str | None:
    shown = rule if isinstance(rule, str) else getattr(rule, "__name__", type(rule).__name__)
    try:
        if applies(rule, facts):
            return None
    except Exception as exc:  # noqa: BLE001 - a rule that cannot be evaluated is never taken for a yes
        return f"the policy's rule {shown!r} could not be evaluated: {type(exc).__name__}: {exc}"
    return f"the policy allows this call only where {shown!r} is true"
