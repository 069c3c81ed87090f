"""Policies: what a tool does to the world, and what must be so before it may."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from durable.checkpoint.records import Terms
from durable.declare.effects import EFFECTS, Effect, EffectName, effect_of
from durable.declare.retry import NO_RETRY, Retry
from durable.declare.rules import Rule, applies, checked_rule
from durable.errors import InvalidConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.declare.breaker import Breaker
    from durable.declare.rate import Rate
    from durable.declare.rules import Facts

OnRepeat = Literal["ask", "reuse", "again"]

KEY_TTL = 24 * 3600.0
"""Seconds for which an outside system is trusted to remember an idempotency key (Stripe's window)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Need for a decision; ``rule`` is why, in words for people."""

    rule: str | None


@dataclass(frozen=True, slots=True)
class Approval:
    """Require that a person says yes to the call, with exactly these arguments.

    ``when`` limits it to the calls for which it is true: an expression in CEL, as ``"arguments.amount > 100"``, or a
    function of the arguments, or of the arguments and the Facts (``durable.declare.rules``). A rule that raises asks.

    ``approvers`` are names, and roles as ``"role:finance"`` (of ``Runtime(roles=...)``); without any, whoever can
    decide may. ``quorum`` different persons must give the same answer; one is enough to reject. The person in the
    execution's tag ``requested_by`` may not decide, unless ``requester_may_approve``.

    ``expires_in`` (seconds) rejects the call if nobody has decided by then; with ``on_expiry="escalate"`` those in
    ``escalate_to`` may decide too, for as long again. Raises InvalidConfiguration.
    """

    when: Rule | None = None
    expires_in: float | None = None
    rule: str | None = None
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    on_expiry: Literal["reject", "escalate"] = "reject"
    escalate_to: tuple[str, ...] = ()
    requester_may_approve: bool = False

    def __post_init__(self) -> None:
        if self.when is not None:
            checked_rule(self.when)
        if self.quorum < 1 or self.quorum > self._most_voters():
            msg = f"quorum={self.quorum}: use at least 1, and at most as many as there are approvers"
            raise InvalidConfiguration(msg)
        escalates = self.on_expiry == "escalate"
        if self.on_expiry not in {"reject", "escalate"} or escalates != bool(self.escalate_to):
            msg = "on_expiry is 'reject', or 'escalate' together with escalate_to=(...)"
            raise InvalidConfiguration(msg)
        if escalates and self.expires_in is None:
            msg = "on_expiry='escalate' needs expires_in=seconds"
            raise InvalidConfiguration(msg)

    def _most_voters(self) -> float:
        """Return how many persons may vote at most. There is no limit where a role, or nobody, is named."""
        names = {name for name in self.approvers if not name.startswith("role:")}
        return len(names) if names and names == set(self.approvers) else math.inf

    def asks(self, facts: Facts) -> Asked | None:
        """Return by which rule this call needs a decision; None if it needs none."""
        rule = self.rule or (self.when if isinstance(self.when, str) else None)
        if self.when is None:
            return Asked(rule)
        try:
            return Asked(rule) if applies(self.when, facts) else None
        except Exception as exc:  # noqa: BLE001 - a rule that cannot be evaluated is never taken for a no
            return Asked(f"{rule or 'the rule'} could not be evaluated: {type(exc).__name__}: {exc}")

    def terms(self, requester: str | None) -> Terms:
        """Return who may decide on a call of an execution that this person asked for."""
        barred = None if self.requester_may_approve else requester
        return Terms(self.approvers, barred, self.escalate_to, self.expires_in)


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """How a tool is run.

    ``effect``: ``read`` and ``idempotent`` are run again after a crash (the second with the same idempotency key),
    ``transactional`` writes in the journal's own transaction, ``once`` never runs twice: a crash that leaves its
    outcome unknown is settled by ``reconcile(key, arguments) -> Done | NotDone | Unknown``, or by a person.
    ``reconcile`` may take a ToolContext as third argument. ``timeout`` and ``key_ttl`` are seconds.

    ``compensate(arguments, result)``, which may take a ToolContext as third argument too, undoes a call that happened,
    where an execution that ends without success is to be compensated; see ``durable.run.compensation``.

    A call for which ``allowed_when`` is not true does not run, and nobody is asked: the agent is told why. It is a rule
    as in ``Approval(when=...)``; one that raises refuses. ``rate`` and ``breaker`` hold for all workers of the
    database. ``tags`` are the tool's own, for policies by tag. Raises InvalidConfiguration.

    ``on_repeat`` says what becomes of an effect that an execution which has gone back (a fork, a rewind) would make
    once more: ``ask`` a person, ``reuse`` what the earlier one came to, or make it ``again``; None leaves that to the
    runtime.
    """

    effect: EffectName = "once"
    approval: Approval | bool | None = None
    timeout: float | None = None
    retry: Retry | None = None
    reconcile: Callable[..., Any] | None = None
    compensate: Callable[..., Any] | None = None
    idempotency_key: Callable[[Any], str] | None = None
    key_ttl: float = KEY_TTL
    secrets: tuple[str, ...] = ()
    rate: Rate | None = None
    breaker: Breaker | None = None
    allowed_when: Rule | None = None
    tags: tuple[str, ...] = ()
    on_repeat: OnRepeat | None = None

    def __post_init__(self) -> None:
        if self.allowed_when is not None:
            checked_rule(self.allowed_when)
        if self.on_repeat is not None:
            checked_on_repeat(self.on_repeat)
        if self.effect not in EFFECTS:
            msg = f"effect={self.effect!r}: use one of {', '.join(EFFECTS)}"
            raise InvalidConfiguration(msg)
        if self.timeout is not None and not 0 < self.timeout <= threading.TIMEOUT_MAX:
            msg = f"timeout={self.timeout!r}: use seconds above zero that a thread can wait, or None"
            raise InvalidConfiguration(msg)

    @property
    def does(self) -> Effect:
        """Return what the effect asks of a call's record: its row of the table."""
        return effect_of(self.effect)

    @property
    def gate(self) -> Approval | None:
        """Return the approval this policy asks for; None if it asks for none."""
        if self.approval is True:
            return Approval()
        return self.approval or None

    @property
    def guarded(self) -> bool:
        """True if something else than a person is asked before each call."""
        return self.allowed_when is not None or self.rate is not None or self.breaker is not None

    @property
    def retries(self) -> Retry:
        """Return the retry rule. Without one a failure is final at once."""
        return self.retry or NO_RETRY


def checked_on_repeat(choice: str) -> OnRepeat:
    """Return what is to become of repeated effects. Raises InvalidConfiguration: silence is not among the choices."""
    for known in get_args(OnRepeat):
        if choice == known:
            return known  # type: ignore[no-any-return]  # one of the literal's own
    msg = f"on_repeat={choice!r}: use one of {', '.join(get_args(OnRepeat))}"
    raise InvalidConfiguration(msg)


READ = ToolPolicy(effect="read")
ONCE = ToolPolicy()


@dataclass(frozen=True, slots=True)
class Done:
    """``reconcile`` found the effect: this is its result, it does not run again."""

    result: Any = None


@dataclass(frozen=True, slots=True)
class NotDone:
    """``reconcile`` found that the effect did not happen: the call runs."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """``reconcile`` could not tell: a person is asked."""
