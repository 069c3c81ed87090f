"""Subjects of the contract: an order in one framework, driven by processes that come and go.

The order: a number is drawn (by the model, where there is one), it is reserved, a person is asked, it is paid, and the outcome
says so. A subject knows how to begin it, to go on after a crash, to answer the person's question, and to go back behind
the payment. ``Durable`` is that for everything that is durable here: an app brings only its code. What is bare brings its
own way for each (``bare_*.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from durable import Decision, DurableError, Runtime
from durable.record.prefix import clean_points
from tests.contract.outside import answer

if TYPE_CHECKING:
    from pathlib import Path

    from durable import Handle, Interrupt
    from tests.contract.outside import Outside

ORDER = "order"


class Subject(ABC):
    """One order at one place, in the hands of one process. Made anew in each."""

    name: ClassVar[str]

    def __init__(self, url: str, folder: Path, outside: Outside) -> None:
        self.url, self.folder, self.outside = url, folder, outside

    @abstractmethod
    def begin(self) -> None:
        """Begin the order, until a person is asked."""

    @abstractmethod
    def go_on(self) -> None:
        """Go on after a crash, until a person is asked or it has ended; who looks after it answers doubts honestly."""

    @abstractmethod
    def say_yes(self) -> None:
        """Answer the person's question, and go on to the end."""

    @abstractmethod
    def go_back(self) -> str:
        """Go back behind the payment and on to the end again; the outcome."""

    @abstractmethod
    def outcome(self) -> str | None:
        """What the order came to; None if it has not ended."""

    @abstractmethod
    def faults(self) -> list[str]:
        """What is not whole in what is stored."""


class Durable(Subject):
    """An order on this library."""

    input: ClassVar[Any] = None

    def build(self, runtime: Runtime) -> None:
        """Register the app ``order``."""
        raise NotImplementedError

    def runtime(self) -> Runtime:
        """A process of its own."""
        runtime = Runtime(self.url)
        self.build(runtime)
        return runtime

    def begin(self) -> None:
        """Run it here."""
        with self.runtime() as runtime:
            runtime.run(ORDER, self.input, id=ORDER)

    def go_on(self) -> None:
        """Recover what is left."""
        with self.runtime() as runtime:
            self._settle(runtime, yes=False)

    def say_yes(self) -> None:
        """Decide what waits, and recover."""
        with self.runtime() as runtime:
            self._settle(runtime, yes=True)

    def go_back(self) -> str:
        """Fork it where the payment had not begun; its result is taken."""
        with self.runtime() as runtime:
            fork = self._fork(runtime.get(ORDER))
            self._settle(runtime, yes=True)
            return str(fork.result(timeout=0))

    def outcome(self) -> str | None:
        """The execution's output."""
        with self.runtime() as runtime:
            execution = runtime.get(ORDER).execution()
            return None if execution.output is None else self.said(execution.output)

    def said(self, output: Any) -> str:
        """The outcome in words."""
        return str(output)

    def faults(self) -> list[str]:
        """A chain that does not fit, and records that cannot be read."""
        with self.runtime() as runtime:
            found = []
            for execution in runtime.executions():
                handle = runtime.get(execution.id)
                try:
                    handle.verify()
                    [record.value() for record in handle.history()]
                except DurableError as exc:
                    found.append(f"{type(exc).__name__}: {exc}")
            return found

    def _fork(self, old: Handle) -> Handle:
        records = old.history()
        first = min(one.seq for one in records if (one.step_key or "").split("/")[-1] in self.payment(old))
        return old.fork(at=max(seq for seq in clean_points(records) if seq < first))

    def payment(self, old: Handle) -> set[str]:
        """The last parts of the keys of the step that pays."""
        return {(one.step_key or "").split("/")[-1] for one in old.history() if one.meta.get("name") == "pay"}

    def _settle(self, runtime: Runtime, *, yes: bool) -> None:
        while True:
            runtime.recover()
            given = [(one.id, decision) for one in runtime.interrupts() if (decision := self._answer(one, yes=yes))]
            if not given:
                return
            for interrupt_id, decision in given:
                runtime.decide(interrupt_id, decision, by="ann")

    def _answer(self, asked: Interrupt, *, yes: bool) -> Decision | None:
        match asked.kind:
            case "in_doubt":
                what, number = str(asked.tool), asked.arguments["number"]
                done = self.outside.happened(what, number)
                return Decision.happened(answer(what, number)) if done else Decision.did_not_happen()
            case "repeat":
                return Decision.reuse()
            case "approval":
                return Decision.approve() if yes else None
        return Decision.respond("yes") if yes else None
