"""Calls, in the order in which they come to their record: ``Call -> Placed -> Pending | Recorded``.

A framework asks for a ``Call``. ``place`` finds its record: ``Placed``. ``begin_step`` says what is to be done:
nothing, it is ``Recorded``, or to run it, ``Pending``. Values only: ``begin``, ``complete`` and ``shells`` act.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.declare.policy import ToolPolicy
from durable.errors import Suspended
from durable.live.scope import Scope, here
from durable.record import failure, keys
from durable.record.events import Called
from durable.record.kinds import STEP, StepKind
from durable.telemetry import names as telemetry_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.checkpoint.pace.circuits import Circuit
    from durable.live.segment import Segment
    from durable.live.tool_context import ToolContext
    from durable.record.replay import Outcome


@dataclass(frozen=True, slots=True)
class Call:
    """A call about to be made, as its framework asks for it.

    ``identity`` keys it by a framework's id; without one it is numbered by name. ``agent`` makes the call.
    ``attributes`` (of the gen_ai conventions, never content) are for telemetry. ``schema`` is the JSON Schema of the
    arguments, for a call that is decided upon. ``bodies`` are what runs as its body (the function, the framework's
    tool): called there, they are no further step. ``defaults`` are the arguments that were left out: a person and a
    rule see them, a replay does not mind a new one. ``control_flow`` are exceptions by which its framework leaves a
    body that has not failed. ``usage`` counts the tokens of an answer.
    """

    name: str
    arguments: Any = None
    policy: ToolPolicy = field(default_factory=ToolPolicy)
    identity: str | None = None
    kind: StepKind = STEP
    agent: str = ""
    attributes: Mapping[str, Any] | None = None
    schema: Callable[[], Mapping[str, Any] | None] | None = None
    bodies: tuple[Any, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    control_flow: tuple[type[BaseException], ...] = ()
    usage: Callable[[Any], dict[str, int]] | None = None
    scope: Scope = field(default_factory=here)

    @property
    def segment(self) -> Segment:
        """Return the segment that drives its execution."""
        return self.scope.segment

    @property
    def prefix(self) -> str:
        """Return what its key begins with if it is numbered."""
        return f"{self.scope.path}/{self.name}".lstrip("/")

    @property
    def complete(self) -> Any:
        """Return the arguments the body will see: what is decided upon."""
        return {**self.defaults, **self.arguments} if self.defaults else self.arguments

    @property
    def model(self) -> str:
        """Return the name of the model that is called."""
        return str((self.attributes or {}).get(telemetry_names.MODEL) or self.name.removeprefix("chat:"))

    @property
    def tolerates_new_input(self) -> bool:
        """True if it takes its record though the input differs."""
        return self.kind.tolerates_new_input and not (self.kind.keyed_by_input and self.identity is not None)

    @property
    def waiting(self) -> tuple[type[BaseException], ...]:
        """Return the exceptions that mean "a call inside this step is waiting", not "this step failed"."""
        return (Suspended, *self.control_flow)


@dataclass(slots=True)
class Placed:
    """A call and its place in the record: ``match`` is None until it is certain which record is its own.

    ``fits`` is False if the record is of another call. ``in_branch``: it is made beside its scope's own line.
    ``unordered``: its number may be another one on a replay. ``unknown`` is how an attempt of this process ended of
    which nobody knows the outcome. Of a call that is ``heard`` a reader has a part, which no further attempt may say
    again. ``span`` is telemetry's; nobody else looks into it.
    """

    call: Call
    arguments_hash: str
    match: Outcome | None
    fits: bool = True
    in_branch: bool = False
    unordered: bool = False
    unknown: BaseException | None = None
    heard: bool = False
    span: Any = None

    @property
    def outcome(self) -> Outcome:
        """Return what the journal says of this call, as soon as ``begin_step`` has seen it."""
        assert self.match is not None  # noqa: S101 - a gate comes after the match
        return self.match

    @property
    def key(self) -> str:
        """Return the step's key; empty while it is not certain."""
        return "" if self.match is None else self.match.key

    @property
    def segment(self) -> Segment:
        """Return the segment that drives its execution."""
        return self.call.scope.segment

    @property
    def scope(self) -> Scope:
        """Return the scope in which the call is made."""
        return self.call.scope

    @property
    def fresh(self) -> bool:
        """True if nothing of it was ever started."""
        return self.outcome.progress == "new" and self.outcome.epoch == 0

    @property
    def arguments(self) -> Any:
        """Return the arguments with which it runs: those of the call, or what a person has made of them."""
        return self.call.complete if self.outcome.edited is None else self.outcome.edited.value()

    @property
    def complete_hash(self) -> str:
        """Return what a decision is bound to."""
        call = self.call
        return self.segment.runtime.codec.fingerprint(call.complete) if call.defaults else self.arguments_hash

    def idempotency_key(self, arguments: Any) -> str:
        """Return the key of a call with these arguments: the policy's own, or the one made from its place."""
        call = self.call
        if call.policy.idempotency_key is not None:
            return call.policy.idempotency_key(arguments)
        execution = self.segment.execution
        return keys.key_for(execution.namespace, execution.id, self.outcome.key, call.name)

    @property
    def about(self) -> Called:
        """Return what every record of this step says of the call."""
        call = self.call
        return Called(
            name=call.name,
            arguments_hash=self.arguments_hash,
            effect=call.policy.effect,
            kind=None if call.kind is STEP else call.kind.name,
            branch=self.in_branch,
        )


@dataclass(frozen=True, slots=True)
class Recorded:
    """The step is in the journal: this is what it came to."""

    outcome: Outcome

    def result(self) -> Any:
        """Return the recorded value. Raises the recorded failure."""
        record = self.outcome.result
        assert record is not None  # noqa: S101 - only finished outcomes are Recorded
        error = failure.recorded(record)
        if error is not None:
            raise error
        return record.value()


@dataclass(frozen=True, slots=True)
class Pending:
    """The step may run now, with these arguments; with a ``delay``, ask again after so many seconds."""

    placed: Placed
    arguments: Any
    context: ToolContext
    delay: float = 0.0
    circuit: Circuit | None = None

    @property
    def call(self) -> Call:
        """Return the call as its framework asked for it."""
        return self.placed.call

    @property
    def outcome(self) -> Outcome:
        """Return what the journal says of this step."""
        return self.placed.outcome

    @property
    def key(self) -> str:
        """Return the step's key."""
        return self.placed.outcome.key

    @property
    def segment(self) -> Segment:
        """Return the segment that drives its execution."""
        return self.placed.segment

    @property
    def edited(self) -> bool:
        """True if a person has changed the arguments."""
        return self.placed.outcome.edited is not None

    @property
    def attempt(self) -> int:
        """Return the number of this attempt: 1 for the first."""
        return self.context.attempt

    def scope(self) -> Scope:
        """Return the scope its body runs in."""
        around, call = self.call.scope, self.call
        return Scope(
            around.segment,
            self.key,
            self.context,
            bodies=call.bodies,
            inside=(*around.inside, self.key),
            in_transaction=call.policy.does.in_transaction,
        )

    @property
    def timeout(self) -> float | None:
        """Return the seconds the body may take: the policy's, or what the execution's deadline leaves."""
        limits = [self.call.policy.timeout]
        deadline_at = self.segment.execution.deadline_at
        if deadline_at is not None:
            limits.append(max(0.001, deadline_at - self.segment.runtime.database.clock()))
        return min((limit for limit in limits if limit is not None), default=None)
