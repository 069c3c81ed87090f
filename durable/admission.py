"""Admission: what must be so before a call may start.

That its policy allows it, that the execution's budget has room for it, that the circuit of what it calls is closed, and
that its rate has a turn. (That a person has approved it: ``durable.gate``.) A call that is not allowed has that as its
outcome; one that must wait lets go of its worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.budget import charge
from durable.checkpoint.errors import Suspended
from durable.checkpoint.records import NewRecord
from durable.rules import applies, facts_of

if TYPE_CHECKING:
    from durable.attempt import Ended
    from durable.context import Scope
    from durable.replay import Outcome
    from durable.rules import Facts
    from durable.step import StepCall


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call is not allowed; ``reason`` is why, in words for the agent."""

    reason: str

    def record(self, call: StepCall, key: str) -> NewRecord:
        """The call's outcome: as if a person had rejected it, by its policy."""
        return NewRecord("step_failed", key, call.meta(rejected=self.reason, not_allowed=True))


def refusal(call: StepCall, outcome: Outcome, arguments: Any) -> Refusal | None:
    """Why the call's policy does not allow it with these arguments; None if it does, and then it counts as begun."""
    rule = call.policy.allowed_when
    if rule is None or (call.composite and call.scope.segment.replay.entered(outcome.key)):
        return None
    ledger = call.scope.segment.ledger
    with ledger.lock:  # of calls side by side, each sees those that were allowed before it
        found = _refused(rule, facts_of(call, arguments))
        if found is None:
            ledger.allow(outcome.key, call.name)
        return found


def _refused(rule: Any, facts: Facts) -> Refusal | None:
    said = rule if isinstance(rule, str) else getattr(rule, "__name__", type(rule).__name__)
    try:
        if applies(rule, facts):
            return None
    except Exception as exc:  # noqa: BLE001 - a rule that cannot be evaluated is never taken for a yes
        return Refusal(f"the policy's rule {said!r} could not be evaluated: {type(exc).__name__}: {exc}")
    return Refusal(f"the policy allows this call only where {said!r} is true")


def admit(call: StepCall, outcome: Outcome) -> None:
    """Return if an attempt of this call may start now.

    Raises BudgetExceeded, and Suspended if it has to wait: for a person, a closed circuit, or a turn.
    """
    policy, segment = call.policy, call.scope.segment
    runtime = segment.runtime
    if runtime.budget is not None and segment.compensates is None:  # what was done may always be undone
        charge(runtime.budget, call, outcome.key)
    if policy.breaker is not None:
        call.circuit = policy.breaker.look(runtime, call.name)
        if (until := policy.breaker.until(runtime, call.circuit)) is not None:
            _wait(call, outcome, until, "circuit_open", policy.breaker.name)
    if policy.rate is not None and (at := policy.rate.take(runtime, call.name)) is not None:
        _wait(call, outcome, at, "rate_limited", policy.rate.name)
    if policy.breaker is not None and call.circuit is not None and call.circuit.retry_at is not None:
        call.circuit = policy.breaker.probe(runtime, call.name)
        if call.circuit.retry_at is not None:
            _wait(call, outcome, call.circuit.retry_at, "circuit_open", policy.breaker.name)


def _wait(call: StepCall, outcome: Outcome, at: float, event: str, name: str | None) -> None:
    segment = call.scope.segment
    segment.append(NewRecord("note", None, {"event": event, "step": outcome.key, "of": name or call.name, "until": at}))
    segment.wait_for(at=at)
    raise Suspended


def tell(call: StepCall, outcome: Outcome, ended: Ended) -> None:
    """What became of an attempt: its circuit is told."""
    breaker, segment = call.policy.breaker, call.scope.segment
    if breaker is None or call.circuit is None:
        return
    error = ended.error or segment.attachments.pop(_hidden(outcome.key), None)
    if breaker.tell(segment.runtime, call.name, call.circuit, error):
        opened = {"event": "circuit_opened", "step": outcome.key, "of": breaker.name or call.name}
        segment.append(NewRecord("note", None, opened))


def hide(scope: Scope, error: BaseException) -> None:
    """A tool answers in place of raising: the circuit of what it called is to know of the error all the same."""
    scope.segment.attachments[_hidden(scope.tool_context.step_key)] = error


def _hidden(key: str) -> str:
    return f"hidden error of {key}"
