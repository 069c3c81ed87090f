"""Calls that code inside an execution makes: ``step``, ``ask``, ``sleep``, ``wait_signal``."""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from durable.checkpoint.inbox import signals
from durable.declare.ids import checked
from durable.declare.policy import ONCE, Approval, ToolPolicy
from durable.declare.signature import bound, left_out, plain, policy_of, unbound, with_context
from durable.errors import InvalidId, Suspended, ToolRejected
from durable.inbox.ask import answer_to, ask_person
from durable.inbox.batch import Batch, commit
from durable.inbox.decision import check_schema
from durable.inbox.kinds import CHOICE, QUESTION
from durable.inbox.schemas import fitting, of_function
from durable.live.scope import here
from durable.record.events import Called, Signal, StepDone, StepFailed, Timer, unpack_if
from durable.record.kinds import STEP, TOOL
from durable.step.act import act_on
from durable.step.begin import place
from durable.step.call import Call
from durable.step.gates import drift
from durable.step.governing import governing
from durable.step.shells import run_step, run_step_async

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.checkpoint.records import Record
    from durable.declare.effects import EffectName
    from durable.declare.retry import Retry
    from durable.inbox.kinds import InterruptKind
    from durable.live.scope import Scope
    from durable.live.segment import Segment
    from durable.record.kinds import StepKind
    from durable.record.replay import Outcome

P = ParamSpec("P")
T = TypeVar("T")

_NUMBERED = re.compile(r"#\d+$")


class Step:
    """Run a function as a recorded step: once it has finished, a recovery returns its result without running it.

    ``step(fn, *args, **kwargs)`` returns what ``fn`` returns, an awaitable if ``fn`` is async. Without ``options``
    the function's own ``@tool`` policy holds, else ``effect="once"``. Raises what ``fn`` raises (replayed as
    recorded), NotEncodable for arguments that cannot be recorded, and NoExecution outside an execution.
    """

    def __init__(self, key: str | None = None, changes: Mapping[str, Any] | None = None) -> None:
        self._key = key
        self._changes = dict(changes or {})

    def options(
        self,
        *,
        key: str | None = None,
        effect: EffectName | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> Step:
        """Return the same step with a key of your own, another effect, retries, or a timeout in seconds.

        What is not named stays as the function's policy has it. Raises InvalidId for a key that ends like a
        number's, "#1".
        """
        changes: dict[str, Any] = {"effect": effect, "retry": retry, "timeout": timeout}
        named = {name: value for name, value in changes.items() if value is not None}
        replace(ONCE, **named)  # refused here rather than where the step runs
        if key is not None and _NUMBERED.search(checked(key, "the step's key")):
            msg = f"the step's key {key!r} ends like a number given by durable; use another ending than '#' and digits"
            raise InvalidId(msg)
        return Step(self._key if key is None else key, {**self._changes, **named})

    def __call__(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it, or return what is recorded; see the class."""
        name = _name(fn)
        scope = here()
        policy = governing(scope, name, policy_of(fn))
        if self._changes:
            policy = replace(policy, **self._changes)
        kind = STEP if policy_of(fn) is None else TOOL
        return call_as_step(scope, fn, name, args, kwargs, policy=policy, identity=self._key, kind=kind)


step = Step()


def _innermost(fn: Any) -> Any:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def _name(fn: Any) -> str:
    innermost = _innermost(fn)
    return str(getattr(innermost, "__name__", type(innermost).__name__))


def call_as_step(  # noqa: PLR0913 - a call and how it is to be run
    scope: Scope,
    fn: Callable[..., T],
    name: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    policy: ToolPolicy,
    identity: str | None = None,
    kind: StepKind = STEP,
) -> T:
    """Run ``fn`` as a step of this scope."""
    inner = plain(fn)
    arguments = bound(inner, args, kwargs)
    defaults = left_out(inner, arguments)
    placed = place(
        Call(
            name,
            arguments,
            policy,
            identity,
            kind=kind,
            schema=lambda: fitting(of_function(inner), {**defaults, **arguments}),
            defaults=defaults,
            bodies=(plain(_innermost(fn)),) if isinstance(fn, functools.partial) else (),
            scope=scope,
        )
    )

    def arguments_of(pending: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        final = unbound(inner, pending.arguments) if pending.edited else (args, dict(kwargs))
        return final[0], with_context(inner, final[0], final[1], pending.context)

    if inspect.iscoroutinefunction(inner):

        async def run(pending: Any) -> Any:
            positional, named = arguments_of(pending)
            return await inner(*positional, **named)

        return run_step_async(placed, run)  # type: ignore[return-value]  # T is the awaitable itself

    def run_sync(pending: Any) -> Any:
        positional, named = arguments_of(pending)
        value = inner(*positional, **named)
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            msg = f"{name} is a plain function and returned an awaitable, which never ran; make it async"
            raise TypeError(msg)
        if inspect.isgenerator(value) or inspect.isasyncgen(value):
            msg = f"{name} returned a generator, which never ran; make it return a list of what it yields"
            raise TypeError(msg)
        return value

    return run_step(placed, run_sync)  # type: ignore[no-any-return]  # what fn returns


def _called(name: str, arguments: Any, act: Callable[[Segment, Outcome], T]) -> T:
    """Make a call that is not a step.

    Its number is taken here, in the order of the calls; in async code the rest is awaited.
    """
    scope = here()
    scope.outside_of_transactions(name)
    segment = scope.segment
    hashed = segment.runtime.codec.fingerprint(arguments)
    prefix = f"{scope.path}/{name}".lstrip("/")
    match, _ = segment.match(None, prefix, hashed)

    def matched() -> T:
        outcome, fits = match, True
        if outcome is None:
            outcome, fits = segment.match_after_branches(prefix, hashed, scope.inside)
        if fits:
            commit(segment, drift.resolved(segment, outcome))
        else:
            act_on(segment, drift.settled(segment, outcome, drift.Made(name, arguments, hashed)))
        outcome.name = name
        outcome.arguments_hash = hashed
        return act(segment, outcome)

    async def awaited() -> T:
        with segment.working():
            return await segment.runtime.database.surely_on_journal_thread(matched)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        must_wait_here = True
    else:
        must_wait_here = scope.is_plain
    if must_wait_here:
        with segment.working():
            return matched()
    return awaited()  # type: ignore[return-value]  # awaited by async callers


def ask(
    question: str,
    *,
    schema: Mapping[str, Any] | None = None,
    expires_in: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Ask a person and return the answer. The execution holds no process while it waits, for days if need be.

    ``schema`` is a JSON Schema the answer must fit; ``choices`` are the answers to choose from; ``expires_in`` is
    in seconds. Raises ToolRejected if the question is rejected or nobody answers in time.
    """
    answer_schema = {"enum": list(choices)} if choices else schema
    if answer_schema:
        check_schema(answer_schema)
    subject = {"question": question, "schema": answer_schema}
    kind = CHOICE if choices else QUESTION

    def answered(segment: Segment, outcome: Outcome) -> Any:
        record = outcome.result or _asked(segment, outcome, kind, subject, expires_in)
        rejected = unpack_if(record, StepFailed)
        if rejected is not None:
            raise ToolRejected(question, rejected.rejected or "")
        return record.value()

    return _called("ask", subject, answered)


def _asked(
    segment: Segment, outcome: Outcome, kind: InterruptKind, subject: Mapping[str, Any], expires_in: float | None
) -> Record:
    segment.check()
    answer = answer_to(segment, outcome)
    about = Called(name="ask", arguments_hash=outcome.arguments_hash)
    if answer is None:
        ask_person(segment, outcome, kind, subject, gate=Approval(expires_in=expires_in), about=about)
        raise Suspended
    if answer.decision.kind == "reject":
        finished = StepFailed.of(about, rejected=answer.decision.reason or "").pack(outcome.key)
    else:
        value = segment.runtime.codec.encode(answer.decision.value, what="the answer")
        finished = StepDone.of(about).pack(outcome.key, value)
    return commit(segment, answer.used_up(segment) + Batch((finished,)))[-1]


def sleep(seconds: float) -> None:
    """Wait without holding a process: the execution is let go and claimed again when the time has come."""

    def slept(segment: Segment, outcome: Outcome) -> None:
        clock = segment.runtime.database.clock
        if outcome.is_new:
            segment.check()
            timer = Timer(name="sleep", arguments_hash=outcome.arguments_hash, due_at=clock() + seconds)
            segment.append(timer.pack(outcome.key))
        if clock() < outcome.not_before:
            segment.wait_for(at=outcome.not_before)
            raise Suspended

    return _called("sleep", {"seconds": seconds}, slept)


def wait_signal(name: str) -> Any:
    """Wait for a signal of this name and return its payload. Each signal is delivered once, in order.

    Raises InvalidId for a name that no signal can have.
    """
    checked(name, "the signal's name")

    def received(segment: Segment, outcome: Outcome) -> Any:
        return (outcome.result or _received(segment, outcome, name)).value()

    return _called(f"signal:{name}", None, received)


def _received(segment: Segment, outcome: Outcome, name: str) -> Record:
    segment.check()
    db = segment.runtime.database
    with segment.receiving:  # branches side by side take one signal each
        with db.read() as connection:
            waiting = signals.first(connection, segment.execution.id, name)
        if waiting is None:
            segment.wait_for(signal=name)
            raise Suspended
        signal_id, payload = waiting
        at = db.clock()
        received = Signal(name=f"signal:{name}", arguments_hash=outcome.arguments_hash)
        (record,) = segment.append(
            received.pack(outcome.key, payload),
            companions=[lambda connection: signals.consume(connection, signal_id, at=at)],
        )
    return record
