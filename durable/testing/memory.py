"""Memory: a process without a database, over which decisions about calls can be tested.

    memory = MemoryProcess()
    with memory.claimed():
        run_step(place(Call("pay", policy=ToolPolicy())), pay)
    memory.kinds    # the records that were written

A claim is a segment over the records so far, as a worker makes one after a crash. ``decide`` answers what was asked;
``now`` is the time. Statements that commit with a record are not run, but the questions in them are kept.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from durable.checkpoint.codec.codec import Codec
from durable.checkpoint.inbox.interrupts import terms_of
from durable.checkpoint.pace.circuits import CLOSED, Circuit
from durable.checkpoint.records import Execution, Interrupt, Record
from durable.declare.policies import Policies
from durable.live.clock import Clock
from durable.live.dependencies import Dependencies
from durable.live.scope import root, within
from durable.live.segment import Segment
from durable.record.events import Claimed, Released, unpack_if
from durable.secrets.store import SecretStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from durable.checkpoint.records import NewRecord
    from durable.declare.breaker import Breaker
    from durable.declare.budget import Budget
    from durable.declare.policy import OnRepeat
    from durable.declare.rate import Rate
    from durable.inbox.decision import Decision


class MemoryProcess:
    """Fulfils ``Services``. One execution, its journal and its inbox, in memory."""

    namespace = "default"
    compensate = False
    max_attempts = 10
    on_repeat: OnRepeat = "ask"

    def __init__(
        self, *, budget: Budget | None = None, dependencies: Mapping[str, Any] | None = None, now: float = 1000.0
    ) -> None:
        self.now = now
        self.budget = budget
        self.secrets = SecretStore()
        self.codec = Codec((), redact=self.secrets.redactor.stored)
        self.policies = Policies({})
        self.dependencies = Dependencies(dependencies)
        self.database: Any = MemoryDatabase(self)
        self.clock: Clock = MemoryClock(self)
        self.leases: Any = MemoryLeases()
        self.pace: Any = MemoryPacing()
        self.telemetry: Any = Silent()
        self.records: list[Record] = []
        self.interrupts: dict[str, Interrupt] = {}
        self.epoch = 0

    @contextmanager
    def claimed(self, **execution: Any) -> Iterator[Segment]:
        """Run the block as the next owner of the execution."""
        self.epoch += 1
        journal: Any = MemoryJournal(self, self.epoch)
        journal.append(Claimed(owner="memory").pack())
        waiting = [asked for asked in self.interrupts.values() if asked.status in {"open", "decided"}]
        segment = Segment(self, replace(self._execution(), **execution), journal, self.records, waiting)
        with within(root(segment)):
            yield segment

    def release(self) -> None:
        """Let go of the execution in good order: the next claim is no recovery from a crash."""
        MemoryJournal(self, self.epoch).append(Released().pack())

    def decide(self, interrupt_id: str, decision: Decision, *, by: str = "alice") -> None:
        """Answer an interrupt; the next claim finds the answer."""
        answer = {"kind": decision.kind, "value": decision.value, "reason": decision.reason}
        self.interrupts[interrupt_id] = replace(
            self.interrupts[interrupt_id],
            status="decided",
            decided_by=by,
            decided_at=self.now,
            stored_decision=self.codec.encode(answer),
        )

    @property
    def kinds(self) -> list[str]:
        """The kinds of all records but claims, in order."""
        return [record.kind for record in self.records if unpack_if(record, Claimed) is None]

    @property
    def asked(self) -> list[Interrupt]:
        """Return what nobody has answered yet, oldest first."""
        return [interrupt for interrupt in self.interrupts.values() if interrupt.status == "open"]

    def interrupt(self, interrupt_id: str) -> Interrupt:
        """Return an interrupt."""
        return self.interrupts[interrupt_id]

    def undo(self, scope: Any, outcome: Any, effect: Any) -> None:
        """Do nothing: one execution alone goes back behind nobody."""

    def load(self, stored: bytes) -> Any:
        """Return the value of stored bytes."""
        return self.codec.decode(stored)

    def roles_of(self, person: str) -> tuple[str, ...]:
        """Return no roles."""
        del person
        return ()

    def register_types(self, types: Iterable[type]) -> None:
        """Put types on the allow-list of what is rebuilt."""
        self.codec = self.codec.with_types(types)

    def _execution(self) -> Execution:
        nothing: dict[str, Any] = dict.fromkeys(Execution.__slots__)
        return Execution(
            **{
                **nothing,
                "id": "e",
                "namespace": self.namespace,
                "app": "app",
                "queue": "default",
                "priority": 0,
                "status": "running",
                "epoch": self.epoch,
                "attempts": 1,
                "tags": {},
                "created_at": self.now,
                "input_digest": "",
                "stored_input": b"null",
                "load": self.load,
            }
        )


class MemoryJournal:
    """Keeps records in their order. The row of a question is kept in the inbox, as its statement would have it."""

    lost = False

    def __init__(self, process: MemoryProcess, epoch: int) -> None:
        self._process = process
        self.epoch = epoch

    def append(self, *records: NewRecord, companions: Sequence[Callable[[Any], object]] = ()) -> tuple[Record, ...]:
        """Append these records."""
        process = self._process
        for companion in companions:
            companion(_Statements(process))
        appended = tuple(
            Record(
                "e",
                len(process.records) + number,
                self.epoch,
                record.kind,
                record.step_key,
                process.now,
                json.loads(json.dumps(dict(record.meta))),
                record.value,
                b"",
                process.load,
            )
            for number, record in enumerate(records, 1)
        )
        process.records.extend(appended)
        return appended

    def transact(self, change: Callable[[Any], Sequence[NewRecord]]) -> tuple[Record, ...]:
        """Append what ``change`` returns."""
        return self.append(*change(_Statements(self._process)))


class _Statements:
    """Takes every statement; keeps the rows of questions."""

    rowcount = 1

    def __init__(self, process: MemoryProcess) -> None:
        self._process = process

    def execute(self, statement: object, row: Mapping[str, Any] | None = None) -> _Statements:
        """Keep a question, and say that one row was changed."""
        del statement
        if row is not None and "subject" in row:
            fields = {name: value for name, value in row.items() if name not in {"subject", "terms"}}
            self._process.interrupts[row["id"]] = Interrupt(
                **fields,
                decided_by=None,
                decided_at=None,
                comment=None,
                votes=(),
                terms=terms_of(row["terms"]),
                stored_subject=row["subject"],
                stored_decision=None,
                load=self._process.load,
            )
        return self


class MemoryDatabase:
    """Says what time it is, and runs on the caller's thread."""

    def __init__(self, process: MemoryProcess) -> None:
        self._process = process

    def clock(self) -> float:
        """Return the time."""
        return self._process.now

    def passes(self, error: BaseException) -> bool:
        """Return False: no error is the database's own."""
        del error
        return False

    async def surely_on_journal_thread(self, act: Callable[..., Any], *args: Any) -> Any:
        """Return what ``act`` returns."""
        return act(*args)


class MemoryClock(Clock):
    """Goes on when somebody sleeps."""

    def __init__(self, process: MemoryProcess) -> None:
        self._process = process

    def monotonic(self) -> float:
        """Return the time."""
        return self._process.now

    def sleep(self, seconds: float) -> None:
        """Go on by so many seconds."""
        self._process.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        """Go on by so many seconds."""
        self._process.now += seconds


class MemoryLeases:
    """Always hold."""

    def confirm(self, segment: Segment) -> None:
        """Return: the lease holds."""

    def let_go(self, segment: Segment) -> None:
        """Return: there is nothing to let go of."""


class MemoryPacing:
    """Turns and circuits that a test sets: ``circuits`` by name, ``turns`` at which to ask again."""

    def __init__(self) -> None:
        self.circuits: dict[str, Circuit] = {}
        self.turns: dict[str, float] = {}

    def look(self, breaker: Breaker, tool: str) -> Circuit:
        """Return the circuit."""
        return self.circuits.get(breaker.name or tool, CLOSED)

    def opens_at(self, circuit: Circuit) -> float | None:
        """Return the instant until which the circuit is open."""
        return circuit.retry_at

    def probe(self, breaker: Breaker, tool: str) -> Circuit:
        """Return the circuit."""
        return self.look(breaker, tool)

    def turn(self, rate: Rate, tool: str) -> float | None:
        """Return the instant at which to ask again; None if there is a turn."""
        return self.turns.get(rate.name or tool)

    def failed(self, breaker: Breaker, tool: str) -> bool:
        """Count a failed attempt; True if the circuit is open by now."""
        name = breaker.name or tool
        failures = self.look(breaker, tool).failures + 1
        self.circuits[name] = Circuit(failures, None)
        return failures >= breaker.failures

    def succeeded(self, breaker: Breaker, tool: str) -> None:
        """Close the circuit."""
        self.circuits[breaker.name or tool] = CLOSED


class Silent:
    """An observer that tells nobody."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        told: Callable[..., Any] = _through if name == "attempt" else _nothing
        return told


def _nothing(*_: object, **__: object) -> Any:
    return nullcontext()


def _through(*_: object) -> Any:
    return nullcontext(lambda ended: ended)
