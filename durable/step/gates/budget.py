"""The budget of an execution: a step is counted before it starts, and stopped or asked about if there is no room.

Counted from the journal, so neither a replay nor a crash loses or doubles anything. Steps and calls never go beyond
the budget; tokens and money are known when a model has answered, so that one answer may.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from durable.errors import BudgetExceeded
from durable.inbox.ask import Unanswered, question, standing
from durable.inbox.kinds import BUDGET
from durable.step.verdicts import PASS, Pass, Stop, Wait, after

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from durable.declare.budget import Budget
    from durable.record.kinds import StepKind
    from durable.record.usage import Usage
    from durable.step.call import Placed
    from durable.step.verdicts import Verdict

_MILLION = 1_000_000


def one_at_a_time(placed: Placed) -> AbstractContextManager[Any]:
    """Return what is held from the gate to the commit, so that of calls side by side one asks or is granted."""
    budget = placed.segment.runtime.budget
    return nullcontext() if budget is None or budget.gate is None else placed.segment.usage.lock


def gate(placed: Placed) -> Verdict:
    """Count this step and return Pass if there is room for it, or if a person grants the budget once more."""
    segment, call = placed.segment, placed.call
    budget, usage = segment.runtime.budget, segment.usage
    if budget is None or segment.compensates is not None:  # what was done may always be undone
        return PASS
    if not call.kind.counted:
        return PASS
    if call.kind.spends_tokens and budget.money is not None:
        budget.price(call.model)
    with usage.lock:
        if usage.knows(placed.key):
            return PASS
        verdict = _room(placed, budget)
        if isinstance(verdict, Pass):
            usage.begin(placed.key, call.kind, call.name)
        return verdict


def _room(placed: Placed, budget: Budget) -> Verdict:
    usage, kind = placed.segment.usage, placed.call.kind
    limit = used_up(budget, usage, kind, usage.grants)
    if limit is None:
        return PASS
    granted = _past(placed, budget, limit)
    if not isinstance(granted, Pass):
        return granted
    limit = used_up(budget, usage, kind, usage.grants + 1)
    return granted if limit is None else after(granted, Wait(_ask(placed, budget, f"{placed.key}/budget", limit)))


def spent(budget: Budget, usage: Usage) -> dict[str, float]:
    """Return what was used of each limit so far."""
    used: dict[str, float] = {name: usage.count(name) for name in ("steps", "tool_calls", "model_calls")}
    used["tokens"] = sum(read + written for read, written in usage.tokens.values())
    if budget.money is not None:
        used["money"] = sum(_price(budget, model, *tokens) for model, tokens in usage.tokens.items())
    return used


def _price(budget: Budget, model: str, read: int, written: int) -> float:
    price = budget.price(model)
    return (read * price["input"] + written * price["output"]) / _MILLION


def used_up(budget: Budget, usage: Usage, kind: StepKind, grants: int) -> str | None:
    """Return which limit leaves no room for a step of this kind, in words for people; None if it may start."""
    used = spent(budget, usage)
    for name in kind.limits:
        limit = getattr(budget, name)
        if limit is not None and used[name] >= limit * (1 + grants):
            return f"{name}: {used[name]:.10g} of {limit * (1 + grants):.10g}"
    return None


def _past(placed: Placed, budget: Budget, used: str) -> Verdict:
    """Return Pass if a person grants the budget once more."""
    segment = placed.segment
    if budget.gate is None:
        return Stop(BudgetExceeded(segment.execution.id, used))
    key = segment.usage.asked_at or f"{placed.key}/budget"
    answer = standing(segment, segment.replay.at(key))
    if isinstance(answer, Unanswered):
        return Wait(answer.batch, interrupt=answer.interrupt)
    if answer is None:
        return Wait(_ask(placed, budget, key, used))
    granted = answer.decision.kind == "approve"
    decided = answer.used_up(segment, granted=granted, budget=used)
    if granted:
        return Pass(decided)
    return Stop(BudgetExceeded(segment.execution.id, used, answer.decision.reason or "rejected"), decided)


def _ask(placed: Placed, budget: Budget, key: str, used: str) -> Any:
    segment = placed.segment
    assert budget.gate is not None  # noqa: S101 - else the execution is stopped
    subject = {
        "question": f"the execution has used up its budget ({used}); may it use as much once more?",
        "used": spent(budget, segment.usage),
    }
    outcome = segment.replay.at(key)
    return question(segment, outcome, BUDGET, subject, rule=f"budget: {used}", gate=budget.gate, budget=used)
