"""Pace: an attempt starts when its retry is due, its circuit is closed and its rate has a turn.

A call that has to wait lets go of its worker; its execution comes back when the time has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.inbox.batch import Batch
from durable.record.events import CircuitOpen, CircuitOpened, RateLimited
from durable.step.verdicts import PASS, Pass, Wait

if TYPE_CHECKING:
    from durable.declare.breaker import Breaker
    from durable.live.scope import Scope
    from durable.record.events import MustWait
    from durable.step.attempt import Ended
    from durable.step.call import Pending, Placed
    from durable.step.verdicts import Verdict


def due(placed: Placed) -> Verdict:
    """Return Wait if this is another attempt, and its time has not come."""
    outcome = placed.outcome
    early = outcome.is_to_be_retried and outcome.not_before > placed.segment.runtime.database.clock()
    return Wait(at=outcome.not_before, in_process=True) if early else PASS


def gate(placed: Placed) -> Verdict:
    """Return Wait while the circuit of the call is open, or its rate has no turn; a turn is taken only if all fits."""
    breaker, rate = placed.call.policy.breaker, placed.call.policy.rate
    pace, name = placed.segment.runtime.pace, placed.call.name
    circuit = None if breaker is None else pace.look(breaker, name)
    opens_at = None if circuit is None else pace.opens_at(circuit)
    if breaker is not None and opens_at is not None:
        return _until(CircuitOpen(step=placed.key, of=breaker.name or name, until=opens_at))
    turn_at = None if rate is None else pace.turn(rate, name)
    if rate is not None and turn_at is not None:
        return _until(RateLimited(step=placed.key, of=rate.name or name, until=turn_at))
    if breaker is None or circuit is None or circuit.retry_at is None:
        return Pass(circuit=circuit)
    circuit = pace.probe(breaker, name)
    if circuit.retry_at is None:
        return Pass(circuit=circuit)
    return _until(CircuitOpen(step=placed.key, of=breaker.name or name, until=circuit.retry_at))


def _until(note: MustWait) -> Wait:
    return Wait(Batch((note.pack(),)), at=note.until)


def report(pending: Pending, ended: Ended) -> None:
    """Tell the circuit of a call what became of an attempt; the history has a note if that opened it."""
    breaker, segment = pending.call.policy.breaker, pending.segment
    if breaker is None or pending.circuit is None:
        return
    error = ended.error or segment.attachments.pop(_swallowed(pending.key), None)
    if _opened(breaker, pending, error):
        segment.append(CircuitOpened(step=pending.key, of=breaker.name or pending.call.name).pack())


def _opened(breaker: Breaker, pending: Pending, error: BaseException | None) -> bool:
    """Count an attempt; True if the circuit is open by now."""
    pace, name = pending.segment.runtime.pace, pending.call.name
    if error is not None and breaker.counts(error):
        return pace.failed(breaker, name)
    if pending.circuit is not None and pending.circuit.failures:
        pace.succeeded(breaker, name)
    return False


def report_swallowed_error(scope: Scope, error: BaseException) -> None:
    """Report an error to the breaker although the tool returned a value instead of raising."""
    scope.segment.attachments[_swallowed(scope.tool_context.step_key)] = error


def _swallowed(key: str) -> str:
    return f"swallowed error of {key}"
