"""Reconcile: the tool's own function says whether a call happened, before a person is asked.

It gets the idempotency key, the arguments and, where it takes a third positional argument, a ToolContext with the
tool's own secrets and dependencies. It may be sync or async, and has the time that the tool has. What it raises, an
answer that is none, or none in time is no answer: a person is asked, and told why.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from durable.declare.policy import Done, NotDone, Unknown
from durable.live.scope import undriven
from durable.record import failure
from durable.secrets.scrubbing import scrubbed
from durable.step.attempt import on_own_loop, run_attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.live.tool_context import ToolContext
    from durable.step.call import Placed


def reconciled(placed: Placed, arguments: Any) -> Done | NotDone | str:
    """Return what the tool's ``reconcile`` says; a text for the person who is asked, where it cannot tell. Blocks."""
    policy, segment = placed.call.policy, placed.segment
    if policy.reconcile is None:
        return "nobody knows whether it happened"
    key = placed.idempotency_key(arguments)
    now = segment.runtime.database.clock()
    context = segment.context(
        placed.key,
        placed.call.name,
        attempt=placed.outcome.attempts,
        idempotency_key=key,
        deadline_at=None if policy.timeout is None else now + policy.timeout,
        secrets=policy.secrets,
    )
    ask = given_context(policy.reconcile, (key, arguments), context)
    ended = run_attempt(ask, placed.key, policy.timeout)
    if ended.error is not None:
        said = failure.describe(scrubbed(segment.runtime.secrets.redactor, ended.error))
        return f"reconcile raised {said['type']}: {said['message']}"
    match ended.value:
        case Done() | NotDone():
            return ended.value
        case Unknown():
            return "reconcile could not tell"
    return f"reconcile returned {failure.shown(ended.value, 100)} in place of Done, NotDone or Unknown"


def given_context(fn: Callable[..., Any], given: tuple[Any, ...], context: ToolContext) -> Callable[[], Any]:
    """A call of a function of the user's, run to its end; with the context, if it takes one argument more.

    It stands outside of the execution: a tool that it calls is no step.
    """
    wanted = (*given, context) if _takes(fn, len(given) + 1) else given

    async def awaited(found: Any) -> Any:
        await context.dependencies.ready_here()
        return await found

    def run() -> Any:
        with undriven():
            context.dependencies.make()
            found = fn(*wanted)
            return on_own_loop(awaited(found)) if inspect.isawaitable(found) else found

    return run


def _takes(fn: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(fn).bind(*range(count))
    except (TypeError, ValueError):  # a callable without a signature gets what it always got
        return False
    return True
