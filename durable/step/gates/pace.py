"""Pace: before an attempt starts, the budget has room for it, its circuit is closed and its rate has a turn.

A call that has to wait lets go of its worker; its execution comes back when the time has come. Rates and circuits are
shared by all workers of a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.checkpoint.executions import TICK
from durable.checkpoint.pace import circuits, rates
from durable.declare.ids import LONGEST
from durable.errors import Suspended
from durable.record.events import CircuitOpen, CircuitOpened, RateLimited
from durable.step.gates.budget import charge

if TYPE_CHECKING:
    from durable.checkpoint.pace.circuits import Circuit
    from durable.declare.breaker import Breaker
    from durable.declare.rate import Rate
    from durable.live.scope import Scope
    from durable.live.services import Services
    from durable.record.events import MustWait
    from durable.record.replay import Outcome
    from durable.step.attempt import Ended
    from durable.step.call import StepCall


def admit(call: StepCall, outcome: Outcome) -> None:
    """Return if an attempt of this call may start now.

    Raises BudgetExceeded, and Suspended if it has to wait: for a person, a closed circuit, or a turn.
    """
    policy, segment = call.policy, call.scope.segment
    runtime = segment.runtime
    if runtime.budget is not None and segment.compensates is None:  # what was done may always be undone
        charge(runtime.budget, call, outcome.key)
    if policy.breaker is not None:
        call.circuit = look(policy.breaker, runtime, call.name)
        if (until := opens_at(runtime, call.circuit)) is not None:
            _wait(call, outcome, until, CircuitOpen, policy.breaker.name)
    if policy.rate is not None and (at := turn(policy.rate, runtime, call.name)) is not None:
        _wait(call, outcome, at, RateLimited, policy.rate.name)
    if policy.breaker is not None and call.circuit is not None and call.circuit.retry_at is not None:
        call.circuit = probe(policy.breaker, runtime, call.name)
        if call.circuit.retry_at is not None:
            _wait(call, outcome, call.circuit.retry_at, CircuitOpen, policy.breaker.name)


def _wait(call: StepCall, outcome: Outcome, at: float, why: type[MustWait], name: str | None) -> None:
    segment = call.scope.segment
    segment.append(why(step=outcome.key, of=name or call.name, until=at).pack())
    segment.wait_for(at=at)
    raise Suspended


def look(breaker: Breaker, services: Services, tool: str) -> Circuit:
    """Return the circuit as it stands now."""
    with services.database.read() as connection:
        return circuits.look(connection, services.namespace, breaker.name or tool)


def opens_at(services: Services, circuit: Circuit) -> float | None:
    """Return the instant before which an open circuit certainly lets nothing through; None if it may now."""
    due = circuit.retry_at is None or circuit.retry_at <= services.database.clock() + TICK
    return None if due else circuit.retry_at


def probe(breaker: Breaker, services: Services, tool: str) -> Circuit:
    """Try to become the single trial call of an open circuit. ``retry_at`` is set if another worker won."""
    name, db = breaker.name or tool, services.database
    return db.transact(lambda connection: circuits.probe(db, connection, services.namespace, name, reset=breaker.reset))


def turn(rate: Rate, services: Services, tool: str) -> float | None:
    """Take the next turn of a rate and return None; else return the instant at which to ask again."""
    name, db = rate.name or tool[:LONGEST], services.database
    return db.transact(
        lambda connection: rates.take(db, connection, services.namespace, name, calls=rate.calls, per=rate.per)
    )


def report(call: StepCall, outcome: Outcome, ended: Ended) -> None:
    """Tell the circuit of a call what became of an attempt; the history has a note if that opened it."""
    breaker, segment = call.policy.breaker, call.scope.segment
    if breaker is None or call.circuit is None:
        return
    error = ended.error or segment.attachments.pop(_swallowed(outcome.key), None)
    if _counted(breaker, segment.runtime, call, error):
        segment.append(CircuitOpened(step=outcome.key, of=breaker.name or call.name).pack())


def _counted(breaker: Breaker, services: Services, call: StepCall, error: BaseException | None) -> bool:
    """Count an attempt; True if the circuit is open by now."""
    name, db = breaker.name or call.name, services.database
    if error is not None and breaker.counts(error):
        return db.transact(
            lambda connection: circuits.failed(
                db, connection, services.namespace, name, failures=breaker.failures, reset=breaker.reset
            )
        )
    if call.circuit is not None and call.circuit.failures:
        db.transact(lambda connection: circuits.succeeded(connection, services.namespace, name))
    return False


def report_swallowed_error(scope: Scope, error: BaseException) -> None:
    """Report an error to the breaker although the tool returned a value instead of raising."""
    scope.segment.attachments[_swallowed(scope.tool_context.step_key)] = error


def _swallowed(key: str) -> str:
    return f"swallowed error of {key}"
