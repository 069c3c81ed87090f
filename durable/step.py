"""Steps: a call is recorded, and never runs again once it has finished.

Everything that is decided stands here, in ``begin_step`` and ``complete_step``, plain functions over the journal;
``durable.shells`` drives them. A step's key is its place: scope path plus identity (the framework's call id, or name
and number), never the order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from durable import admission, again, doubt, drift, failure, idempotency, telemetry_names
from durable.checkpoint.errors import CodecError, Suspended
from durable.checkpoint.records import NewRecord
from durable.context import Scope, ToolContext, here
from durable.declared import started_record
from durable.gate import asked_first
from durable.interrupt import Answer, answer_to
from durable.policy import ToolPolicy
from durable.replay import EFFECTS
from durable.retry import IN_PROCESS
from durable.secrets.scrubbing import scrubbed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.attempt import Ended
    from durable.checkpoint.circuits import Circuit
    from durable.checkpoint.records import Record
    from durable.replay import Outcome
    from durable.segment import Segment
    from durable.spans import StepSpan


@dataclass(slots=True)
class StepCall:
    """A call about to be made. ``identity`` keys it by a framework's id; without one it is numbered by name.

    ``kind`` (tool, model, agent, node, task, framework, step) is what is counted; ``attributes`` (of the gen_ai
    conventions, never content) are for telemetry. ``agent`` makes the call. ``gentle`` calls (models) take their record
    even if the input differs. ``composite`` ones (nodes, sub-agents) are scopes whose own body may run again.
    ``passing`` exceptions are a framework's control flow. ``schema`` is the JSON Schema of the arguments, for a call
    that is decided upon. ``aliases`` are other names of the same function. ``defaults`` are the arguments that were
    left out: a person and a rule see them, a replay does not mind a new one. ``unknown`` is how an attempt of this
    process ended of which nobody knows the outcome.
    """

    name: str
    arguments: Any = None
    policy: ToolPolicy = field(default_factory=ToolPolicy)
    identity: str | None = None
    kind: str = "step"
    agent: str = ""
    attributes: Mapping[str, Any] | None = None
    schema: Callable[[], Mapping[str, Any] | None] | None = None
    aliases: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    gentle: bool = False
    composite: bool = False
    passing: tuple[type[BaseException], ...] = ()
    usage: Callable[[Any], dict[str, int]] | None = None
    scope: Scope = field(default_factory=here)
    arguments_hash: str = ""
    outcome: Outcome | None = None
    fits: bool = True
    branch: bool = False
    beside: bool = False
    placed: bool = False
    begun: bool = False
    entered: bool = False
    unknown: BaseException | None = None
    span: StepSpan | None = None
    circuit: Circuit | None = None

    @property
    def key(self) -> str:
        """The step's key; empty until ``begin_step`` has seen the call."""
        return self.outcome.key if self.outcome is not None else ""

    @property
    def prefix(self) -> str:
        """What its key begins with if it is numbered."""
        return f"{self.scope.path}/{self.name}".lstrip("/")

    @property
    def complete(self) -> Any:
        """The arguments the body will see: what is decided upon."""
        return {**self.defaults, **self.arguments} if self.defaults else self.arguments

    @property
    def complete_hash(self) -> str:
        """What a decision is bound to."""
        return self.scope.segment.runtime.codec.fingerprint(self.complete) if self.defaults else self.arguments_hash

    @property
    def model(self) -> str:
        """The name of the model that is called."""
        return str((self.attributes or {}).get(telemetry_names.MODEL) or self.name.removeprefix("chat:"))

    @property
    def orderly(self) -> tuple[type[BaseException], ...]:
        """The exceptions by which a body leaves because a call inside it waits."""
        return (Suspended, *self.passing)

    def meta(self, **more: Any) -> dict[str, Any]:
        """What every record of this step says."""
        known = {"name": self.name, "arguments_hash": self.arguments_hash, "effect": self.policy.effect}
        kind = {} if self.kind == "step" else {"kind": self.kind}
        return {**known, **kind, **({"branch": True} if self.branch else {}), **more}


@dataclass(frozen=True, slots=True)
class Recorded:
    """The step is in the journal: this is what it came to."""

    outcome: Outcome

    def result(self) -> Any:
        """The recorded value; raises the recorded failure."""
        record = self.outcome.result
        assert record is not None  # noqa: S101 - only finished outcomes are Recorded
        if record.kind == "step_failed" or "result_lost" in record.meta:
            raise failure.recorded(record)
        return record.value()


@dataclass(frozen=True, slots=True)
class Pending:
    """The step may run now, with these arguments; with a ``delay``, ask again after so many seconds."""

    call: StepCall
    outcome: Outcome
    arguments: Any
    context: ToolContext
    delay: float = 0.0
    edited: bool = False

    @property
    def attempt(self) -> int:
        """1 for the first time it runs."""
        return self.context.attempt

    def scope(self) -> Scope:
        """The scope its body runs in."""
        above, key = self.call.scope, self.outcome.key
        names = frozenset({self.call.name, *self.call.aliases})
        in_transaction = self.call.policy.effect == "transactional"
        return Scope(above.segment, key, self.context, names, (*above.inside, key), in_transaction=in_transaction)

    @property
    def timeout(self) -> float | None:
        """Seconds the body may take: the policy's, or what the execution's deadline leaves."""
        limits = [self.call.policy.timeout]
        segment = self.call.scope.segment
        if segment.execution.deadline_at is not None:
            limits.append(max(0.001, segment.execution.deadline_at - segment.runtime.database.clock()))
        return min((limit for limit in limits if limit is not None), default=None)


def begin_step(call: StepCall) -> Recorded | Pending:
    """What is to be done about this call: nothing (it is recorded), or run it.

    What must be durable before it runs is durable when this returns. Raises Suspended if a person or a later time
    is waited for, NotEncodable for arguments that cannot be recorded, and what ``Segment.check`` raises.
    """
    segment = call.scope.segment
    outcome = _begun(segment, call)
    if outcome.progress in {"done", "failed"}:
        segment.runtime.telemetry.replayed(call, outcome)
        return Recorded(outcome)
    segment.check()
    answer = answer_to(segment, outcome)
    if doubt.found(call, outcome, answer):
        settled = doubt.settle(call, outcome, answer)
        return Recorded(outcome) if settled == "finished" else _ready(call, outcome, started=settled == "started")
    if answer is not None and answer.interrupt.kind == "approval":
        if outcome.accepted or answer.interrupt.arguments_hash == call.complete_hash:
            return _answered(call, outcome, answer)
        segment.withdraw(outcome)  # a default has changed since: what was decided is not what would run
    fresh = outcome.progress == "new" and outcome.epoch == 0
    if fresh and (refused := admission.refusal(call, outcome, call.complete)) is not None:
        segment.append(refused.record(call, outcome.key))
        return Recorded(outcome)
    if fresh and (misfit := asked_first(call, outcome)) is not None:
        segment.append(misfit)
        return Recorded(outcome)
    return _ready(call, outcome)


def place(call: StepCall) -> None:
    """Give the call its place: its record by key, or the number it has among the calls of its name, if that is clear.

    Without the database, so that it is done where the call is made, in the order of the calls. Raises NotEncodable,
    Unsupported.
    """
    if call.placed:
        return
    call.scope.outside_of_transactions(call.name)
    call.arguments_hash = "" if call.composite else _hash(call.scope.segment, call)
    path = call.scope.path
    key = None if call.identity is None else f"{path}/{call.identity}".lstrip("/")
    outcome, fits = call.scope.segment.take(key, call.prefix, call.arguments_hash)
    call.fits = outcome.accepted if outcome is not None and outcome.name not in {"", call.name} else fits
    if outcome is None and call.gentle:
        outcome = call.scope.segment.take_gently(call.prefix)
        call.fits = False
    call.outcome, call.placed = outcome, True
    call.branch = call.scope.branched
    call.beside = key is None and call.scope.segment.beside(call.scope)


def _begun(segment: Segment, call: StepCall) -> Outcome:
    place(call)
    if call.outcome is None:
        call.outcome, call.fits = segment.take_late(call.prefix, call.arguments_hash, call.scope.inside)
    outcome = call.outcome
    if call.begun:
        return outcome
    if not call.fits and call.gentle:
        outcome.taken = True
        meta = {"event": "input_differs", "recorded": outcome.arguments_hash, "now": call.arguments_hash}
        segment.append(NewRecord("note", None, {**meta, "step": outcome.key}))
    elif not call.fits:
        drift.settle(segment, outcome, name=call.name, arguments=call.arguments, arguments_hash=call.arguments_hash)
    else:
        drift.over(segment, outcome)
    if _takes_a_place(call, outcome):
        while (passed := segment.passed_over(call.scope.path)) is not None:
            drift.settle(segment, passed, name=call.name, arguments=call.arguments, arguments_hash=call.arguments_hash)
    if call.composite:
        segment.rewind(outcome.key)
    call.begun = True
    return outcome


def _takes_a_place(call: StepCall, outcome: Outcome) -> bool:
    """Whether this is a new effect on the line of its scope, where a recorded one would have to come by before."""
    new = outcome.progress == "new" and outcome.interrupt is None
    return new and outcome.number > 0 and not call.branch and call.policy.effect in EFFECTS


def _hash(segment: Segment, call: StepCall) -> str:
    try:
        return segment.runtime.codec.fingerprint(call.arguments)
    except CodecError:
        if call.gentle:
            return ""
        raise


def _answered(call: StepCall, outcome: Outcome, answer: Answer) -> Recorded | Pending:
    segment, decision, refused = call.scope.segment, answer.decision, None
    if decision.kind in {"approve", "edit"}:
        arguments = decision.value if decision.kind == "edit" else call.complete
        segment.runtime.codec.encode(arguments, what=f"the edited arguments of {call.name}")
        refused = admission.refusal(call, outcome, arguments)
        if refused is None:
            admission.admit(call, outcome)  # where it has to wait, the decision stays for then
    closed, consume = answer.closing(segment)
    match decision.kind:
        case "approve" | "edit" if refused is not None:
            segment.append(closed, refused.record(call, outcome.key), companions=[consume])
        case "approve" | "edit":
            segment.append(closed, started_record(call, outcome, arguments), companions=[consume])
            return _ready(call, outcome, started=True)
        case "reject":
            rejected = call.meta(rejected=decision.reason or "", by=answer.interrupt.decided_by)
            segment.append(closed, NewRecord("step_failed", outcome.key, rejected), companions=[consume])
        case _:
            value = segment.runtime.codec.encode(decision.value, what=f"the answer for {call.name}")
            done = NewRecord("step_done", outcome.key, call.meta(by=answer.interrupt.decided_by), value)
            segment.append(closed, done, companions=[consume])
    return Recorded(outcome)


def _needs_start(call: StepCall, outcome: Outcome) -> bool:
    """Whether the step must be on record before it runs.

    An idempotent one in a branch: its number, and so its idempotency key, could be given to another branch's call
    by a replay that knows nothing of it.
    """
    if call.policy.effect == "idempotent" and call.policy.compensate is None:
        return call.beside and outcome.epoch == 0
    return (call.policy.effect == "once" or call.policy.compensate is not None) and not call.composite


def _ready(call: StepCall, outcome: Outcome, *, started: bool = False) -> Pending:
    segment, policy = call.scope.segment, call.policy
    now = segment.runtime.database.clock()
    delay = max(0.0, outcome.not_before - now) if outcome.progress == "retry" else 0.0
    if delay > IN_PROCESS:
        segment.wait_for(at=outcome.not_before)
        raise Suspended
    attempt = outcome.attempts if started else outcome.attempts + 1
    if not started and not delay:
        admission.admit(call, outcome)
    arguments = call.complete if outcome.edited is None else outcome.edited.value()
    if _needs_start(call, outcome) and not started and not delay:
        segment.append(started_record(call, outcome, arguments))
    context = segment.context(
        outcome.key,
        call.name,
        attempt=attempt,
        idempotency_key=idempotency.key_of(call, outcome, arguments),
        deadline_at=None if policy.timeout is None else now + delay + policy.timeout,
        secrets=policy.secrets,
    )
    return Pending(call, outcome, arguments, context, delay, edited=outcome.edited is not None)


def complete_step(pending: Pending, ended: Ended, seconds: float) -> bool:
    """Record what an attempt came to: True if it is finished, False if ``begin_step`` must be asked again.

    Raises the attempt's own error where that is final.
    """
    runtime = pending.call.scope.segment.runtime
    if ended.error is not None:
        ended = replace(ended, error=scrubbed(runtime.secrets.redactor, ended.error))
    with runtime.telemetry.completing(pending, ended, seconds):
        try:
            return _complete(pending, ended, seconds)
        finally:
            admission.tell(pending.call, pending.outcome, ended)


def _complete(pending: Pending, ended: Ended, seconds: float) -> bool:
    call, outcome, segment = pending.call, pending.outcome, pending.call.scope.segment
    took = {"attempt": pending.attempt, "seconds": round(seconds, 6)}
    if ended.error is None:
        record = done(call, outcome, ended.value, took)
        segment.append(record)
        return as_returned(record)
    failure.mark(ended.error, outcome.key)
    if call.composite:
        segment.forget_failures(outcome.key)
        raise ended.error
    if ended.unknown and call.policy.effect == "once":
        unknown = {"event": "outcome_unknown", "step": outcome.key, "error": failure.describe(ended.error)}
        segment.append(NewRecord("note", None, unknown))
        call.unknown = ended.error
        return False
    now = segment.runtime.database.clock()
    follows = again.after(pending, ended.error, now=now)
    meta = call.meta(**took, error=failure.describe(follows.error), **follows.meta)
    if ended.unknown:
        meta["unknown"] = True
    if follows.delay is not None:
        segment.append(NewRecord("step_retry", outcome.key, {**meta, "not_before": now + follows.delay}))
        return False
    segment.append(failure.record(call, outcome.key, follows.error, meta))
    raise follows.error


def never_entered(call: StepCall) -> None:
    """The caller was cancelled before the body of this step began: that it was started leaves no doubt."""
    outcome, segment = call.outcome, call.scope.segment
    if outcome is None or call.entered or outcome.progress != "started" or outcome.epoch != segment.journal.epoch:
        return
    meta = call.meta(attempt=outcome.attempts - 1, not_before=0.0, never_entered=True)
    segment.append(NewRecord("step_retry", outcome.key, meta))


def waits_inside(pending: Pending) -> None:
    """A call inside this step's body waits: the body left in good order, and is to be entered again, without doubt."""
    call = pending.call
    if call.policy.effect == "once" and not call.composite:
        meta = call.meta(attempt=pending.attempt - 1, not_before=0.0, waits_inside=True)
        call.scope.segment.append(NewRecord("step_retry", pending.outcome.key, meta))
    call.scope.segment.rewind(pending.outcome.key)


def done(call: StepCall, outcome: Outcome, value: Any, took: Mapping[str, Any]) -> NewRecord:
    """The record of a step that has finished; of one whose result cannot be recorded, that it was lost."""
    codec = call.scope.segment.runtime.codec
    if call.usage is not None:
        took = {**took, "usage": call.usage(value), "model": call.model}
    try:
        encoded, redacted = codec.redacted(value, what=f"the result of {call.name}")
    except Exception as exc:  # whatever a value of the user's may raise: its effect has happened
        if call.composite:
            raise
        lost = failure.describe(exc)["message"]
        return NewRecord("step_done", outcome.key, call.meta(**took, result_lost=lost, repr=failure.shown(value, 500)))
    return NewRecord("step_done", outcome.key, call.meta(**took, **({"redacted": True} if redacted else {})), encoded)


def as_returned(record: NewRecord | Record) -> bool:
    """Whether a finished step's record holds what its body returned; if not, the caller gets what is recorded."""
    return "result_lost" not in record.meta and "redacted" not in record.meta
