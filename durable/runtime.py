"""Runtimes: one database, the apps this process can run, and the policies that govern their tools."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from durable.checkpoint import claims, executions, migrations
from durable.checkpoint.claims import Owner
from durable.checkpoint.codec.codec import Codec
from durable.checkpoint.database import Database
from durable.checkpoint.executions import NewExecution
from durable.checkpoint.inbox import interrupts
from durable.checkpoint.journal.writer import Writer
from durable.checkpoint.state import blobs
from durable.declare.ids import checked, new_id
from durable.declare.policy import checked_on_repeat
from durable.declare.policy_source import policies_of
from durable.errors import (
    ExecutionClosed,
    InvalidConfiguration,
    LeaseLost,
    StorageError,
    ThreadBusy,
    UnknownApp,
)
from durable.inbox import decide
from durable.live.clock import Clock
from durable.live.dependencies import Dependencies
from durable.live.leases import Leases
from durable.live.owner import owner_name
from durable.live.pacing import Pacing
from durable.record.events import Failed, unpack_if
from durable.run.aio import Aio
from durable.run.block import Block
from durable.run.cancel import end_if_cancelled
from durable.run.compensation import undo_earlier
from durable.run.drive import drive
from durable.run.function import function_app
from durable.run.handle import Handle, Result
from durable.run.open import open_segment
from durable.run.result import result_of
from durable.run.superseding import superseded
from durable.run.worker import Worker
from durable.secrets.logs import redacting
from durable.secrets.store import SecretStore
from durable.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from durable.checkpoint.records import Execution, Interrupt
    from durable.declare.budget import Budget
    from durable.declare.policy import OnRepeat, ToolPolicy
    from durable.inbox.decision import Decision
    from durable.live.scope import Scope
    from durable.record.earlier import Effect
    from durable.record.replay import Outcome
    from durable.run.app import App
    from durable.secrets.resolvers import Sources


P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., Any]")

DEFAULT_URL = "sqlite:///durable.db"


class Runtime:
    """Connects apps, tools and people to one database.

    Without a url that is ``$DURABLE_URL``, else the file ``durable.db`` in the working directory.

    ``policies`` govern tools by name, pattern or tag, of any framework, also those that cannot be edited; they may
    stand in a TOML or YAML file, given by its path. ``budget`` is what each execution may do. ``types`` are those of
    your values that may be rebuilt from storage. ``dependencies`` reach tools through their ToolContext: objects, or
    factories whose result is made once and closed with the runtime (``durable.live.dependencies``). ``secrets`` replace
    the environment as the place to look secrets up: a mapping, a callable from a name to the value, or a list of these,
    see ``durable.secrets``. ``roles`` says which roles a person has, by name: a mapping, or a function that asks your
    directory. ``lease`` is how long (seconds) a worker may be silent before another one continues; an execution whose
    worker dies ``max_attempts`` times in a row is given up as ``dead``. ``compensate`` undoes what executions that fail
    or are cancelled have done, by the ``compensate=`` of their tools, see ``durable.run.compensation``. ``on_repeat``
    says what becomes of an effect that an execution which has gone back would make once more, where its tool's policy
    does not: ``ask`` a person, ``reuse`` what the earlier one came to, or make it ``again``.

    The database is made or brought up to date here. Raises InvalidConfiguration, StorageError.
    """

    def __init__(  # noqa: PLR0913 - the one place where everything is configured
        self,
        url: str | None = None,
        *,
        namespace: str = "default",
        policies: Mapping[str, ToolPolicy] | str | Path | None = None,
        budget: Budget | None = None,
        dependencies: Mapping[str, Any] | None = None,
        types: Iterable[type] = (),
        secrets: Sources | None = None,
        roles: Mapping[str, Sequence[str]] | Callable[[str], Sequence[str]] | None = None,
        lease: float = 30.0,
        max_attempts: int = 10,
        compensate: bool = False,
        on_repeat: OnRepeat = "ask",
        database: Database | None = None,
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        if not lease > 0 or max_attempts < 1:  # NaN is not above zero
            msg = "lease must be seconds above zero, max_attempts at least 1"
            raise InvalidConfiguration(msg)
        self.namespace = checked(namespace, "the namespace")
        self.policies = policies_of(policies)
        self.budget = self.policies.one_budget(budget)
        self.dependencies = Dependencies(dependencies)
        self.secrets = SecretStore(secrets)
        self._roles = roles
        self.max_attempts = max_attempts
        self.compensate = compensate
        self.on_repeat = checked_on_repeat(on_repeat)
        self.clock = clock or Clock()
        self.codec = Codec(types, redact=self.secrets.redactor.stored)
        self.database = database or Database(url or os.environ.get("DURABLE_URL") or DEFAULT_URL)
        try:
            migrations.upgrade(self.database)
        except BaseException:
            if database is None:
                self.database.close()
            raise
        self.pace = Pacing(self.database, self.namespace)
        self.telemetry = telemetry or Telemetry()
        self.writer = Writer(self.database, committed=self.telemetry.committed)
        self.leases = Leases(self.database, self.clock, Owner(owner_name(), lease))
        self._apps: dict[str, App] = {}
        redacting("durable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close dependencies and database. Executions that are driven now stay claimed until their lease expires."""
        try:
            self.dependencies.close()
        finally:
            self.database.close()

    def load(self, stored: bytes) -> Any:
        """Return the value of stored bytes, blob references resolved. Raises UnknownType, CorruptPayload."""
        return self.codec.decode(blobs.fetch(self.database, stored))

    @property
    def aio(self) -> Aio:
        """Return the same methods for async code: ``await runtime.aio.start(...)``; the event loop never waits."""
        return Aio(self, self.database)

    def register(self, app: App) -> None:
        """Make an app known to this process. A later one of the same name replaces it."""
        self._apps[checked(app.name, "the app's name")] = app

    def register_types(self, types: Iterable[type]) -> None:
        """Put types on the allow-list of what is rebuilt from storage: a framework's, and those of an app's schemas."""
        self.codec = self.codec.with_types(types)

    def app(self, name: str) -> App:
        """Return the app of this name. Raises UnknownApp."""
        if name not in self._apps:
            raise UnknownApp(name, tuple(self._apps))
        return self._apps[name]

    @property
    def apps(self) -> tuple[str, ...]:
        """Return the names of all apps of this process."""
        return tuple(self._apps)

    def function(self, name: str) -> Callable[[F], F]:
        """Register a function, sync or async, as a durable execution; its parameters are the keys of the input."""

        def register(fn: F) -> F:
            self.register(function_app(name, fn))
            return fn

        return register

    def execution(self, id: str, *, name: str = "block", **options: Any) -> Block:  # noqa: A002 - the fixed public name
        """Return a block whose code is an execution: ``with runtime.execution(id):``, or ``async with``.

        After a crash or a wait, run the code again with the same id. Options as for ``start``: ``durable.run.block``
        """
        return Block(self, checked(id, "the execution's id"), name, options)

    def start(  # noqa: PLR0913 - the fixed public signature
        self,
        name: str,
        input: Any = None,  # noqa: A002 - the fixed public name
        *,
        id: str | None = None,  # noqa: A002 - the fixed public name
        thread: str | None = None,
        queue: str = "default",
        priority: int = 0,
        run_after: float | None = None,
        deadline: float | None = None,
        correlation_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        parent: str | None = None,
        on_suspended: str = "supersede",
    ) -> Handle:
        """Record an execution for a worker to run; the same id and input again is the same execution.

        ``run_after`` and ``deadline`` are seconds from now. New input on a thread that waits for an answer
        supersedes what waits (``on_suspended="refuse"`` raises instead). Raises ExecutionConflict, ThreadBusy,
        InvalidId, NotEncodable.
        """
        execution_id = checked(new_id() if id is None else id, "the execution's id")
        if name in self._apps and (accepts := self._apps[name].accepts) is not None:
            input = accepts(input, execution_id)  # noqa: A001 - the fixed public name
        now = self.database.clock()
        begun = self.telemetry.begin(checked(name, "the app's name"), execution_id, self.namespace)
        encoded = self.codec.encode(input, what="the input")
        redactor = self.secrets.redactor
        new = NewExecution(
            id=execution_id,
            namespace=self.namespace,
            app=name,
            app_version=self._apps[name].version if name in self._apps else None,
            input=encoded,
            input_digest=self.codec.fingerprint(input),
            thread=_checked_if_given(thread, "the thread"),
            queue=checked(queue, "the queue"),
            priority=priority,
            run_after=_later(now, run_after),
            deadline_at=_later(now, deadline),
            parent=_checked_if_given(parent, "the parent's id"),
            correlation_id=_checked_if_given(correlation_id, "the correlation id"),
            tags={str(key): redactor.text(str(value)) for key, value in (tags or {}).items()},
            traceparent=begun.traceparent,
        )
        try:
            created = self.database.transact(lambda connection: executions.start(self.database, connection, new))
        except ThreadBusy as busy:
            if on_suspended != "supersede" or not superseded(self, busy.execution_id, execution_id):
                raise
            created = self.database.transact(lambda connection: executions.start(self.database, connection, new))
        if created:
            begun.end()
        return Handle(self, execution_id)

    def run(self, name: str, input: Any = None, **options: Any) -> Result:  # noqa: A002 - the fixed public name
        """Start (options as for ``start``) and drive here until it has finished or waits.

        The same id again returns what was recorded, or goes on where it stopped. Raises UnknownApp, ExecutionBusy,
        LeaseLost, and StorageError, after which the execution goes on with the next call.
        """
        app = self.app(name)
        handle = self.start(name, input, **options)
        if not handle.execution().ended:
            error = self.drive(app, handle.id)
            while error is None and handle.status == "pending":  # the answer came while it was being let go
                error = self.drive(app, handle.id)
            if isinstance(error, (StorageError, LeaseLost)):
                raise error
        return self.result_of(handle.id)

    def drive(self, app: App, execution_id: str) -> BaseException | None:
        """Claim an execution and run it to its end or until it waits. Returns what the app raised, if anything.

        KeyboardInterrupt and its like are raised after the execution was given back.
        """
        try:
            segment = open_segment(self, execution_id, forced=True)
        except ExecutionClosed:
            return None
        error = drive(app, segment)
        if error is not None and not isinstance(error, Exception):
            raise error
        return error

    def result_of(self, execution_id: str) -> Result:
        """Return what is recorded of an execution now."""
        return result_of(self, execution_id)

    def get(self, id: str) -> Handle:  # noqa: A002 - the fixed public name
        """Return a handle to an execution. Raises ExecutionNotFound, InvalidId."""
        handle = Handle(self, checked(id, "the execution's id"))
        handle.execution()
        return handle

    def executions(self, *, status: str | Sequence[str] = (), **filters: Any) -> list[Execution]:
        """Return executions, newest first; filters: status, app, thread, tags, before (created_at), limit."""
        statuses = (status,) if isinstance(status, str) else tuple(status)
        with self.database.read() as connection:
            return executions.find(connection, self.namespace, self.load, status=statuses, **filters)

    def interrupts(self, status: str | None = "open", **filters: Any) -> list[Interrupt]:
        """Return interrupts, oldest first; filters: execution_id, tool, kind, limit. ``status=None`` for all."""
        statuses = () if status is None else (status,)
        with self.database.read() as connection:
            return interrupts.find(connection, self.namespace, self.load, status=statuses, **filters)

    def interrupt(self, interrupt_id: str) -> Interrupt:
        """Return one interrupt. Raises InterruptNotFound, InvalidId."""
        return decide.find(self, interrupt_id)

    def decide(
        self,
        interrupt_id: str,
        decision: Decision,
        *,
        by: str,
        comment: str | None = None,
        arguments_hash: str | None = None,
    ) -> bool:
        """Answer an interrupt; its execution goes on by itself. False if the same person gave the same answer before.

        ``by`` is the person, as your own login knows them; ``Runtime(roles=...)`` says their roles. Where several must
        agree, the execution waits for the last of them. ``arguments_hash`` (of the interrupt you looked at) refuses the
        decision if the call has other arguments by now. What is refused is kept among the interrupt's ``votes``.

        Raises NotAllowedToDecide, AlreadyDecided, DecisionExpired, InvalidDecision, ArgumentsChanged,
        InterruptNotFound, NotEncodable.
        """
        answer = decide.Given(by, comment, arguments_hash)
        decided = decide.decide(self, interrupt_id, decision, answer)
        if decided:
            end_if_cancelled(self, self.interrupt(interrupt_id).execution_id)
        return decided

    def delegate(self, interrupt_id: str, *, to: str, by: str, comment: str | None = None) -> None:
        """Hand the decision of one person to another: ``to`` may decide then, and ``by`` no more.

        It is kept with the interrupt, and in the history with the decision. Who asked for the call gets it from nobody.
        Raises NotAllowedToDecide, AlreadyDecided if ``by`` has answered, DecisionExpired, InterruptNotFound, and
        InvalidDecision for one who may decide anyway: a person counts once.
        """
        decide.delegate(self, interrupt_id, to=to, by=by, comment=comment)

    def roles_of(self, person: str) -> tuple[str, ...]:
        """Return the roles that a person has, as ``Runtime(roles=...)`` says."""
        if self._roles is None:
            return ()
        roles = self._roles(person) if callable(self._roles) else self._roles.get(person, ())
        return tuple(roles)

    def reopen(self, execution_id: str) -> None:
        """Let an execution that failed, died or waits be claimed again. Raises ExecutionClosed, ThreadBusy."""
        handle = Handle(self, execution_id)
        execution = handle.execution()
        if execution.status == "failed" and _was_undone(handle):
            raise ExecutionClosed(execution_id, "failed, and what it had done was undone: start a new one", "retry")
        now = self.database.clock()
        if not self.database.transact(lambda connection: executions.retry(connection, execution_id, now=now)):
            raise ExecutionClosed(execution_id, execution.status, "retry")

    def undo(self, scope: Scope, outcome: Outcome, effect: Effect) -> None:
        """See ``durable.run.compensation.undo_earlier``."""
        undo_earlier(scope, outcome, effect)

    def worker(self, *, concurrency: int = 8, queues: Sequence[str] = ("default",), poll: float = 0.5) -> Worker:
        """Return a worker for the apps of this process; ``.run()`` blocks until SIGTERM or ``.stop()``."""
        return Worker(self, concurrency=concurrency, queues=queues, poll=poll)

    def recover(self) -> list[Result]:
        """Claim and drive here, once, everything that is left to run for the apps of this process.

        KeyboardInterrupt and its like are raised after the execution was given back.
        """
        results = []
        for queue in self._queues():
            worker = self.worker(concurrency=1, queues=(queue,))
            worker.wake_stranded()
            while (segment := worker.claim()) is not None:
                error = drive(self.app(segment.execution.app), segment)
                if error is not None and not isinstance(error, Exception):
                    raise error
                results.append(self.result_of(segment.execution.id))
        return results

    def _queues(self) -> Sequence[str]:
        with self.database.read() as connection:
            return claims.queues(connection, self.namespace)


def _later(now: float, seconds: float | None) -> float | None:
    return None if seconds is None else now + seconds


def _checked_if_given(text: str | None, meaning: str) -> str | None:
    return None if text is None else checked(text, meaning)


def _was_undone(handle: Handle) -> bool:
    """True if an execution has failed, and what it had done was undone."""
    failed = unpack_if(handle.history()[-1], Failed)
    return failed is not None and failed.compensated is not None
