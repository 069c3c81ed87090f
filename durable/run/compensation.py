"""Compensation: what an execution has done is undone, in reverse order, if it ends without success.

It begins where the app asks for it (``handle.cancel(compensate=True)``, ``Runtime(compensate=True)``), in the same
claim and with a note of how the execution is to end; from then on the app never runs again. The completed calls of
tools with ``compensate=`` are undone in the reverse order of their completion, each by a step of its own below the
call's key, with an idempotency key of its own, ``once`` unless the function is a tool that says otherwise. A call in
doubt is settled first, by ``reconcile`` or by a person; a compensation that a crash has cut off is in doubt itself.

The first one that fails ends it: the execution is ``failed`` by CompensationFailed, the rest is not run, for it may
rest on what could not be undone. ``retry`` goes on with that one. When all is undone, the execution ends as it was to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from durable.checkpoint import executions
from durable.checkpoint.inbox import interrupts
from durable.checkpoint.journal import journal
from durable.declare.policy import ONCE, ToolPolicy
from durable.declare.registry import declared, reference
from durable.declare.signature import plain, policy_of
from durable.errors import Cancelled, CompensationFailed, LeaseLost, StorageError, Suspended
from durable.inbox.batch import NOTHING, Batch
from durable.live.scope import Scope, root
from durable.live.segment import Segment
from durable.record import failure
from durable.record.earlier import COMPENSATION
from durable.record.events import Compensating, CompensatingAlready, StepFailed, StepRetry, StepStarted, unpack_if
from durable.record.kinds import TOOL
from durable.record.replay import Replay
from durable.step.act import act_on
from durable.step.begin import place
from durable.step.call import Call, Placed
from durable.step.gates import doubt
from durable.step.reconcile import given_context
from durable.step.shells import run_step
from durable.step.verdicts import Finished, Pass

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.live.services import Services
    from durable.record.earlier import Effect
    from durable.record.events import PlannedEnding
    from durable.record.replay import Outcome
    from durable.run.process import Process
    from durable.step.call import Pending

STEP = COMPENSATION
"""What the key of a compensation adds to that of its call."""
UNDO = "undo"
"""What the key of the compensation of another execution's call adds to that of the call that would repeat it."""


def begin(segment: Segment, ending: PlannedEnding) -> Segment | None:
    """Begin, if the app asks for it and there is anything to undo: the segment in which to go on with ``run``.

    ``ending`` is what the last record is to say. Raises LeaseLost.
    """
    due = [] if segment.compensates is not None else left(segment.replay)
    if not due or not _wanted(segment, ending.status):
        return None
    note = Compensating(ending=ending, tools=[outcome.name for outcome in due])
    segment.append(note.pack(), companions=[_taken_over(segment)])
    return resumed(segment)


def resumed(segment: Segment) -> Segment:
    """The segment in which an execution is compensated, under the claim of this one. Raises LeaseLost."""
    runtime, execution = segment.runtime, segment.execution
    if execution.cancel_reason is not None:  # asked for once more: it is on its way
        segment.append(CompensatingAlready().pack(), companions=[_taken_over(segment)])
    with runtime.database.read() as connection:
        asked = interrupts.find(
            connection,
            runtime.namespace,
            runtime.load,
            execution_id=execution.id,
            status=("open", "decided"),
            limit=None,
        )
    records = sorted(segment.records, key=lambda record: record.seq)
    own = replace(execution, deadline_at=None, cancel_reason=None)
    undoing = Segment(runtime, own, segment.journal, records, asked)
    undoing.compensates, undoing.span, undoing.renewed_at = segment, segment.span, segment.renewed_at
    runtime.leases.hold(undoing)
    return undoing


def _taken_over(segment: Segment) -> Callable[[Any], object]:
    execution_id, epoch = segment.execution.id, segment.journal.epoch
    return lambda connection: executions.begin_compensation(connection, execution_id, epoch)


def _wanted(segment: Segment, status: str) -> bool:
    runtime = segment.runtime
    if status == "cancelled":
        with runtime.database.read() as connection:
            now = executions.get(connection, runtime.namespace, segment.execution.id, runtime.load)
        if now.compensate is not None:
            return now.compensate
    return runtime.compensate and status != "dead"


def left(replay: Replay) -> list[Outcome]:
    """The calls that are to be undone, the last one first; those of which nobody knows are the last ones."""

    def completed(outcome: Outcome) -> int:
        return outcome.result.seq if outcome.result is not None and outcome.is_done else 2**62

    done = [
        outcome
        for outcome in replay.steps.values()
        if outcome.begun_with is not None
        and (outcome.is_done or outcome.is_started or _may_have_happened(outcome))
        and not outcome.key.endswith(f"/{STEP}")
        and not _is_undone(replay, outcome)
        and outcome.begun_with.seq > replay.forked_at  # what was copied is the other execution's to undo
    ]
    return sorted(done, key=completed, reverse=True)


def _may_have_happened(outcome: Outcome) -> bool:
    """Whether a call has failed by a timeout, or in another way that says nothing of what it did."""
    failed = unpack_if(outcome.result, StepFailed)
    return outcome.has_failed and failed is not None and failed.unknown


def _is_undone(replay: Replay, outcome: Outcome) -> bool:
    known = replay.steps.get(f"{outcome.key}/{STEP}")
    return known is not None and known.is_done


def known_to(runtime: Services, outcome: Outcome) -> ToolPolicy | None:
    """The policy that says how to undo this call: the runtime's own, or one declared in this process."""
    policy = runtime.policies.of_tool(outcome.name)
    if policy is not None and policy.compensate is not None:
        return policy
    name = _undoing(outcome)
    if name is None:
        return None
    # the key under which the call was made may be for an app, an agent or a tag
    same = [
        one for one in runtime.policies.values() if one.compensate is not None and reference(one.compensate) == name
    ]
    return same[0] if len(same) == 1 else declared(outcome.name, name)


def _undoing(outcome: Outcome) -> str | None:
    """Return the name of the function that undoes this call, as it was when the call began."""
    started = unpack_if(outcome.begun_with, StepStarted)
    return None if started is None else started.compensate


def is_for_others(runtime: Process, execution_id: str) -> bool:
    """Whether an execution that is to be cancelled is better left to a process with its app, which can undo it."""
    with runtime.database.read() as connection:
        execution = executions.get(connection, runtime.namespace, execution_id, runtime.load)
        if execution.app in runtime.apps or execution.compensate is False:
            return False
        replay = Replay()
        replay.fold(journal.read(connection, execution_id, runtime.load))
    due = left(replay)
    knows_all = all(known_to(runtime, outcome) is not None for outcome in due)
    return bool(due) and not (execution.compensate and knows_all)


def run(segment: Segment) -> list[str]:
    """Undo what is left: the names of all that is undone. Raises CompensationFailed, Suspended, LeaseLost."""
    above = segment.compensates
    due = left(segment.replay)
    for number, outcome in enumerate(due):
        if above is not None and above.draining:
            segment.draining = True
            raise Suspended
        rest = [later.name for later in due[number + 1 :]]
        try:
            if outcome.is_done or _happened(segment, outcome):
                _undo(segment, outcome)
        except (LeaseLost, StorageError):
            raise
        except Cancelled as exc:
            raise CompensationFailed(outcome.name, f"given up by a decision: {exc.reason}", rest) from None
        except Exception as exc:
            said = failure.describe(exc)
            raise CompensationFailed(outcome.name, f"{said['type']}: {said['message']}", rest) from exc
    return [outcome.name for outcome in segment.replay.steps.values() if _is_undone(segment.replay, outcome)]


def _happened(segment: Segment, outcome: Outcome) -> bool:
    """True if a call without an outcome happened: its result is on record then. Raises Suspended, Cancelled."""
    assert outcome.begun_with is not None  # noqa: S101 - it is in ``left``
    policy = replace(known_to(segment.runtime, outcome) or ONCE, effect="once")
    call = Call(outcome.name, arguments=outcome.begun_with.value(), policy=policy, scope=root(segment))
    placed = Placed(call, outcome.arguments_hash, outcome)
    verdict = doubt.inquire(placed)
    if isinstance(verdict, Pass):
        never = StepRetry.of(placed.about, attempt=outcome.attempts - 1, not_before=0.0, never_entered=True)
        used_up = NOTHING if verdict.start is None else verdict.start.batch
        verdict = replace(verdict, batch=verdict.batch + used_up + Batch((never.pack(outcome.key),)))
    act_on(segment, verdict)
    return isinstance(verdict, Finished)


def undo_earlier(scope: Scope, outcome: Outcome, effect: Effect) -> None:
    """Undo an effect of another execution, in a step of this one below the call that would repeat it.

    Raises what the compensation raises, LookupError if no function is declared here, Suspended.
    """
    earlier = replace(outcome, name=effect.name, begun_with=effect.given, result=effect.result)
    _undo(scope.segment, earlier, step=UNDO)


def _undo(segment: Segment, outcome: Outcome, *, step: str = STEP) -> None:
    assert outcome.begun_with is not None  # noqa: S101 - it is in ``left``
    assert outcome.result is not None  # noqa: S101 - it is done
    policy = known_to(segment.runtime, outcome)
    if policy is None or policy.compensate is None:
        msg = (
            f"no function {_undoing(outcome)} is declared here for {outcome.name}; import its module, "
            "or name one in Runtime(policies={...: ToolPolicy(compensate=...)})"
        )
        raise LookupError(msg)
    fn = policy.compensate
    lost = failure.recorded(outcome.result)
    if lost is not None:
        raise lost
    result = outcome.result.value()
    given = {"arguments": outcome.begun_with.value(), "result": getattr(result, "tool_result", result)}
    context = segment.context(outcome.key, outcome.name, attempt=1, idempotency_key="")
    call = Call(
        f"compensate:{outcome.name}",
        arguments=given,
        policy=policy_of(fn) or ToolPolicy(timeout=policy.timeout, secrets=policy.secrets),
        identity=step,
        kind=TOOL,
        scope=Scope(segment, outcome.key, context),
    )

    def body(pending: Pending) -> Any:
        undo = given_context(plain(fn), (pending.arguments["arguments"], pending.arguments["result"]), pending.context)
        return undo()

    run_step(place(call), body)
