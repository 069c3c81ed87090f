"""Calls: what is about to be made, what is on record of it, and what may run now.

Values only: ``durable.step.begin`` and ``durable.step.complete`` decide, ``durable.step.shells`` drive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.declare.policy import ToolPolicy
from durable.errors import Suspended
from durable.live.scope import Scope, here
from durable.record import failure, keys
from durable.record.events import Called
from durable.telemetry import names as telemetry_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.checkpoint.pace.circuits import Circuit
    from durable.live.tool_context import ToolContext
    from durable.record.replay import Outcome


@dataclass(slots=True)
class StepCall:
    """A call about to be made. ``identity`` keys it by a framework's id; without one it is numbered by name.

    ``kind`` (tool, model, agent, node, task, framework, step) is what is counted; ``attributes`` (of the gen_ai
    conventions, never content) are for telemetry. ``agent`` makes the call. ``gentle`` calls (models) take their record
    even if the input differs. ``composite`` ones (nodes, sub-agents) are scopes whose own body may run again.
    ``passing`` exceptions are a framework's control flow. ``schema`` is the JSON Schema of the arguments, for a call
    that is decided upon. ``aliases`` are other names of the same function. ``defaults`` are the arguments that were
    left out: a person and a rule see them, a replay does not mind a new one. ``unknown`` is how an attempt of this
    process ended of which nobody knows the outcome. Of a call that is ``heard`` a reader has a part, which no further
    attempt may say again.
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
    heard: bool = False
    unknown: BaseException | None = None
    span: Any = None
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

    @property
    def about(self) -> Called:
        """What every record of this step says of the call."""
        return Called(
            name=self.name,
            arguments_hash=self.arguments_hash,
            effect=self.policy.effect,
            kind=None if self.kind == "step" else self.kind,
            branch=self.branch,
        )


@dataclass(frozen=True, slots=True)
class Recorded:
    """The step is in the journal: this is what it came to."""

    outcome: Outcome

    def result(self) -> Any:
        """The recorded value; raises the recorded failure."""
        record = self.outcome.result
        assert record is not None  # noqa: S101 - only finished outcomes are Recorded
        error = failure.recorded(record)
        if error is not None:
            raise error
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


def key_of(call: StepCall, outcome: Outcome, arguments: Any) -> str:
    """The key of a call with these arguments: the policy's own, or the one made from its place."""
    if call.policy.idempotency_key is not None:
        return call.policy.idempotency_key(arguments)
    execution = call.scope.segment.execution
    return keys.key_for(execution.namespace, execution.id, outcome.key, call.name)
