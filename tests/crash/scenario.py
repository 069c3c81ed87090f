"""A scenario: an app, what it does to the world, and who answers it; and a life, in which a process pushes it on.

A life can be the first or the fifth: it starts what is not there, recovers what is left, answers what is open, delivers
what is missing, lets time pass where that is waited for, until every execution has ended. It looks at the database
and the ledger only, so a process that died at any instant can be followed by another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from durable import Decision
from durable.testing.outside import answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from durable import Interrupt, Runtime
    from durable.testing.outside import Outside

ROUNDS = 25
"""How often a life may push before what it pushes counts as stuck."""


class Stuck(Exception):
    """An execution neither ends nor waits for anything that a life can give it."""


class Scenario:
    """Subclass this; see the docstring of tests.crash.harness.

    ``effects`` says of each effect whether it is read, idempotent, transactional or once, ``gated`` which of them need an approval,
    ``refused`` which a person refuses, so that they must not arrive. ``expected`` are the final status and output by execution id.
    ``side_by_side`` is how many once effects may be under way at the same time: so many may be in doubt after a kill.
    """

    name: ClassVar[str]
    app: ClassVar[str] = "app"
    effects: ClassVar[Mapping[str, str]]
    gated: ClassVar[frozenset[str]] = frozenset()
    refused: ClassVar[frozenset[str]] = frozenset()
    expected: ClassVar[Mapping[str, tuple[str, Any]]]
    side_by_side: ClassVar[int] = 1
    runtime_options: ClassVar[Mapping[str, Any]] = {}
    tables: ClassVar[Sequence[str]] = ()

    def build(self, runtime: Runtime, world: Outside) -> None:
        """Register the app. Its effects go through ``world.effect``, results it is given through ``world.acknowledged``."""
        raise NotImplementedError

    def start(self, runtime: Runtime) -> None:
        """Start and drive it, again if it was started before."""
        for execution_id in self.expected:
            runtime.run(self.app, None, id=execution_id)

    def answer(self, interrupt: Interrupt, world: Outside) -> Decision | None:
        """What a person says who looks before answering. None for what should never be asked."""
        if interrupt.kind == "in_doubt":
            name = str(interrupt.tool)
            return Decision.happened(answer(name)) if world.happened(name) else Decision.did_not_happen()
        if interrupt.kind == "approval":
            return Decision.reject("no") if interrupt.tool in self.refused else Decision.approve()
        return None

    def deliver(self, runtime: Runtime, world: Outside) -> None:
        """Send what else the execution waits for, once."""


def live(scenario: Scenario, runtime: Runtime, world: Outside, *, recover_first: bool) -> None:
    """Push all executions of the scenario to their ends. Raises Stuck."""
    scenario.build(runtime, world)
    if recover_first:
        runtime.recover()
    found = {execution.id for execution in runtime.executions()}
    if not recover_first or set(scenario.expected) - found:
        scenario.start(runtime)
    for _ in range(ROUNDS):
        if _ended(scenario, runtime):
            return
        scenario.deliver(runtime, world)
        _answer_all(scenario, runtime, world)
        _let_time_pass(runtime, world)
        runtime.recover()
    found = [(execution.id, execution.status, execution.error) for execution in runtime.executions()]
    raise Stuck(f"after {ROUNDS} rounds {found}, open: {[i.kind for i in runtime.interrupts()]}")


def _ended(scenario: Scenario, runtime: Runtime) -> bool:
    found = {execution.id: execution for execution in runtime.executions()}
    missing = [
        name for name, (status, _) in scenario.expected.items() if name not in found or found[name].status != status
    ]
    return not missing and all(execution.ended for execution in found.values())


def _answer_all(scenario: Scenario, runtime: Runtime, world: Outside) -> None:
    for interrupt in runtime.interrupts():
        decision = scenario.answer(interrupt, world)
        if decision is None:
            raise Stuck(f"nobody can answer {interrupt.kind} at {interrupt.step_key}: {interrupt.subject}")
        arguments = decision.value if decision.kind == "edit" else interrupt.arguments
        world.write("decided", tool=interrupt.tool, kind=interrupt.kind, decision=decision.kind, arguments=arguments)
        runtime.decide(interrupt.id, decision, by="ann")


def _let_time_pass(runtime: Runtime, world: Outside) -> None:
    waiting = [execution.run_after for execution in runtime.executions(status="suspended") if execution.run_after]
    ahead = min(waiting, default=0.0) - runtime.database.clock()
    if ahead > 0:
        world.skip(ahead + 1.0)
        runtime.database.clock_offset = world.clock()
