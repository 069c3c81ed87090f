"""The budget of an execution: a step is counted before it starts, and stopped or asked about if there is no room.

Counted from the journal, so neither a replay nor a crash loses or doubles anything. Steps and calls never go beyond
the budget; tokens and money are known when a model has answered, so that one answer may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.errors import BudgetExceeded, Suspended
from durable.inbox.ask import answer_to, ask_person
from durable.record.usage import PLACES

if TYPE_CHECKING:
    from durable.declare.budget import Budget
    from durable.live.segment import Segment
    from durable.record.usage import Ledger
    from durable.step.call import StepCall

_MILLION = 1_000_000


def spent(budget: Budget, ledger: Ledger) -> dict[str, float]:
    """Return what was used of each limit so far."""
    used: dict[str, float] = {
        "steps": ledger.count(),
        "tool_calls": ledger.count("tool"),
        "model_calls": ledger.count("model"),
        "tokens": sum(read + written for read, written in ledger.tokens.values()),
    }
    if budget.money is not None:
        used["money"] = sum(
            (read * (price := budget.price(model))["input"] + written * price["output"]) / _MILLION
            for model, (read, written) in ledger.tokens.items()
        )
    return used


def used_up(budget: Budget, ledger: Ledger, call: StepCall) -> str | None:
    """Return which limit leaves no room for this call, in words for people; None if it may start."""
    limits = ["steps"]
    if call.kind in {"tool", "model"}:
        limits += [f"{call.kind}_calls", "tokens", "money"]
    used = spent(budget, ledger)
    for name in limits:
        limit = getattr(budget, name)
        if limit is not None and used[name] >= limit * (1 + ledger.grants):
            return f"{name}: {used[name]:.10g} of {limit * (1 + ledger.grants):.10g}"
    return None


def charge(budget: Budget, call: StepCall, key: str) -> None:
    """Count this step if there is room for it. Raises BudgetExceeded, or Suspended while a person is asked."""
    segment = call.scope.segment
    ledger = segment.ledger
    if call.kind in PLACES:
        return
    if call.kind == "model" and budget.money is not None:
        budget.price(call.model)
    with ledger.lock:
        if ledger.knows(key):
            return
        while (used := used_up(budget, ledger, call)) is not None:
            _past(segment, budget, f"{key}/budget", used)
        ledger.begin(key, call.kind, call.name)


def _past(segment: Segment, budget: Budget, key: str, used: str) -> None:
    """Return if a person grants the budget once more."""
    if budget.gate is None:
        raise segment.stop(BudgetExceeded(segment.execution.id, used))
    outcome = segment.replay.at(segment.ledger.asked_at or key)
    answer = answer_to(segment, outcome)
    if answer is None:
        subject: dict[str, Any] = {
            "question": f"the execution has used up its budget ({used}); may it use as much once more?",
            "used": spent(budget, segment.ledger),
        }
        rule = f"budget: {used}"
        ask_person(segment, outcome, "approval", subject, rule=rule, gate=budget.gate, budget=used)
        raise Suspended
    granted = answer.decision.kind == "approve"
    closed, consume = answer.closing(segment, granted=granted, budget=used)
    segment.append(closed, companions=[consume])
    if not granted:
        raise segment.stop(BudgetExceeded(segment.execution.id, used, answer.decision.reason or "rejected"))
