"""The desk: an agent with two tools, ``pay`` and ``note``, in processes that come and go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.errors import ExecutionSuspended
from durable.live.scope import current
from durable.run.tool import tool
from durable.testing.fixture import AdapterFixture, Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durable.checkpoint.records import Interrupt
    from durable.run.handle import Handle
    from durable.runtime import Runtime
    from durable.testing.outside import Outside
    from durable.testing.processes import Processes
    from durable.testing.script import Script


@dataclass
class Desk:
    """An agent of one framework; ``options`` are those of its runtimes. ``process`` begins a new process.

    ``pay`` and ``note`` are what ``tools`` makes by default.
    """

    fixture: AdapterFixture
    processes: Processes
    outside: Outside
    script: Script
    options: dict[str, Any] = field(default_factory=dict)
    entry: Entry = field(default_factory=Entry)
    default: int = 500
    tools: Callable[[Desk], Sequence[Callable[..., Any]]] | None = None
    runtime: Runtime = field(init=False)
    agent: Any = field(init=False)

    def process(self, *, point: Callable[[str], None] | None = None) -> Desk:
        """Begin a new process: a runtime of its own, and an agent that was built anew."""
        self.runtime = self.processes.process(point=point, **self.options)
        tools = pay_and_note(self) if self.tools is None else self.tools(self)
        self.agent = self.fixture.agent(self.runtime, self.script, tools)
        return self

    def run(self, entry: Entry | None = None) -> str | None:
        """Return the agent's answer, None if it waits."""
        answer: str | None = self._calling(self.fixture.run, entry)
        return answer

    def go_on(self, entry: Entry | None = None) -> str | None:
        """Go on in the framework's own way."""
        answer: str | None = self._calling(self.fixture.go_on, entry)
        return answer

    def stream(self, entry: Entry | None = None) -> list[str]:
        """Return the pieces of the agent's answer, none if it waits."""
        return list(self._calling(self.fixture.stream, entry) or ())

    def _calling(self, call: Callable[[Any, Entry], Any], entry: Entry | None) -> Any:
        try:
            return call(self.agent, entry or self.entry)
        except ExecutionSuspended:  # what the framework's own result has no form for
            return None

    def handle(self, entry: Entry | None = None) -> Handle:
        """Return the handle of the execution that was named."""
        return self.runtime.get((entry or self.entry).execution_id)

    def open(self, status: str | None = "open") -> dict[str, Interrupt]:
        """Return the questions by call id."""
        rows = self.runtime.interrupts(status=status, execution_id=self.entry.execution_id)
        return {row.step_key.rpartition("tool:")[2]: row for row in rows}


def pay_and_note(desk: Desk) -> list[Callable[..., Any]]:
    """Make the two tools: what ``pay`` does depends on its amount, which it checks, as ``note`` does not."""

    @tool(effect="once")
    def pay(order: str, amount: int = desk.default) -> str:
        """Pay money."""
        assert type(amount) is int
        desk.outside.effect(f"pay {amount} for {order}", {}, key=current().idempotency_key)
        return f"paid {amount}"

    @tool(effect="once")
    def note(text: str) -> str:
        """Write something down."""
        desk.outside.effect(f"note {text}", {}, key=current().idempotency_key)
        return f"noted {text}"

    return [pay, note]
