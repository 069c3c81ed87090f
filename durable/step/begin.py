"""Begin a step: a call is answered from the journal, or may run now, or waits. What has finished never runs again.

A step's key is its place: scope path plus identity (the framework's call id, or name and number), never the order of
arrival. Gates decide, in their order; they write and raise nothing. ``begin_step`` acts on what they say, in one
append.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.declare.retry import IN_PROCESS
from durable.errors import CodecError
from durable.inbox.batch import Batch, commit
from durable.step.act import act_on, let_go
from durable.step.call import Call, Pending, Placed, Recorded
from durable.step.gates import allowed, approval, budget, doubt, drift, pace, repeated, replayed
from durable.step.records import started
from durable.step.verdicts import PASS, Finished, Pass, Stop, Wait, after

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.step.verdicts import Verdict


def place(call: Call) -> Placed:
    """Match the call with its journal record: by key, or by name and number if the order is already certain.

    Without the database, so that it is done where the call is made, in the order of the calls. Raises NotEncodable,
    Unsupported.
    """
    scope, segment = call.scope, call.segment
    scope.outside_of_transactions(call.name)
    arguments_hash = "" if call.kind.is_scope else _hash(call)
    key = None if call.identity is None else f"{scope.path}/{call.identity}".lstrip("/")
    match, fits = segment.match(key, call.prefix, arguments_hash)
    if match is not None and match.name not in {"", call.name}:
        fits = match.accepted
    if match is None and call.tolerates_new_input:
        match, fits = segment.match_any_input(call.prefix), False
    in_branch = scope.branched
    unordered = key is None and segment.unordered(scope.path, branched=in_branch)
    return Placed(call, arguments_hash, match, fits, in_branch, unordered)


def begin_step(placed: Placed) -> Recorded | Pending:
    """Decide whether this call is answered from the journal or runs now.

    What must be durable before it runs is durable when this returns. Raises Suspended if a person or a later time
    is waited for, Cancelled or BudgetExceeded if it is not to go on, and what ``Segment.check`` raises.
    """
    if placed.match is None:
        call = placed.call
        placed.match, placed.fits = placed.segment.match_after_branches(
            call.prefix, placed.arguments_hash, call.scope.inside
        )
    if placed.call.kind.is_scope:
        placed.segment.rewind(placed.key)
    with budget.one_at_a_time(placed):
        verdict = verdict_on(placed)
        match verdict:
            case Pass():
                return _ready(placed, verdict)
            case Finished():
                return _finished(placed, verdict)
            case Wait():
                return _later(placed, verdict)
            case Stop():
                act_on(placed.segment, verdict)
                raise verdict.error


def verdict_on(placed: Placed) -> Verdict:
    """Return what the gates say of a call, together."""
    verdict: Verdict = PASS
    for gate in GATES:
        if not isinstance(verdict, Pass):
            break
        verdict = after(verdict, gate(placed))
    return verdict


def _may_go_on(placed: Placed) -> Verdict:
    """Pass, if a further step may start in this segment at all. Raises what ``Segment.check`` raises."""
    placed.segment.check()
    return PASS


GATES: tuple[Callable[[Placed], Verdict], ...] = (
    drift.gate,
    replayed.gate,
    _may_go_on,
    doubt.gate,
    allowed.gate,
    repeated.gate,
    approval.gate,
    pace.due,
    budget.gate,
    pace.gate,
)
"""In the order in which they are asked."""


def _finished(placed: Placed, verdict: Finished) -> Recorded:
    segment = placed.segment
    commit(segment, verdict.batch)
    if verdict.replayed:
        segment.runtime.telemetry.replayed(placed)
    return Recorded(placed.outcome)


def _later(placed: Placed, verdict: Wait) -> Recorded | Pending:
    """Wait for what the verdict says: a short time in this process, else let go. Raises Suspended."""
    segment = placed.segment
    commit(segment, verdict.batch)
    if verdict.at is not None and verdict.in_process:
        seconds = verdict.at - segment.runtime.database.clock()
        if seconds <= 0:
            return begin_step(placed)
        if seconds <= IN_PROCESS:
            return _pending(placed, PASS, placed.outcome.attempts + 1, delay=seconds)
    return let_go(segment, verdict)


def _ready(placed: Placed, passed: Pass) -> Pending:
    batch, start, attempt = passed.batch, passed.start, placed.outcome.attempts + 1
    if start is not None:
        batch += start.batch + Batch((started(placed, start.arguments, attempt),))
    elif _must_be_announced(placed):
        batch += Batch((started(placed, placed.arguments, attempt),))
    commit(placed.segment, batch)
    if batch.records:  # its answer may have come late: whoever has claimed since then may run the call as well
        placed.segment.runtime.leases.confirm(placed.segment)
    return _pending(placed, passed, attempt)


def _must_be_announced(placed: Placed) -> bool:
    """True if the step must be on record before it runs.

    So must one that relies on its key, in a branch: its number, and so its key, could be given to another branch's
    call by a replay that knows nothing of it.
    """
    policy, kind = placed.call.policy, placed.call.kind
    if policy.compensate is not None:
        return kind.has_effect
    if policy.does.relies_on_key:
        return placed.unordered and placed.outcome.epoch == 0
    return policy.does.announced and kind.has_effect


def _pending(placed: Placed, passed: Pass, attempt: int, *, delay: float = 0.0) -> Pending:
    segment, policy, arguments = placed.segment, placed.call.policy, placed.arguments
    starts_at = segment.runtime.database.clock() + delay
    context = segment.context(
        placed.key,
        placed.call.name,
        attempt=attempt,
        idempotency_key=placed.idempotency_key(arguments),
        deadline_at=None if policy.timeout is None else starts_at + policy.timeout,
        secrets=policy.secrets,
    )
    return Pending(placed, arguments, context, delay, passed.circuit)


def _hash(call: Call) -> str:
    try:
        return call.segment.runtime.codec.fingerprint(call.arguments)
    except CodecError:
        if call.tolerates_new_input:
            return ""
        raise
