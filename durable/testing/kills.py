"""Kills: an agent whose process is killed behind every change of the world and of the database, and recovered.

One agent, four effects: in its first turn it looks something up and reserves it, side by side; then it charges, which a
person must allow; then it ships. After each kill another process goes on until the execution has ended; the person
looks outside before they answer a doubt.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable.declare.policy import ToolPolicy
from durable.errors import ExecutionNotFound
from durable.inbox.decision import Decision
from durable.live.scope import current
from durable.run.tool import tool
from durable.testing.outside import Outside, answer
from durable.testing.processes import START, Death, Moment, killed
from durable.testing.receiver import all_happened, once_each, permitted, results_are_final
from durable.testing.script import WORDS, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.checkpoint.records import Interrupt
    from durable.testing.desk import Desk

ROUNDS = 25
"""How often an execution may be pushed before it counts as stuck."""

ARGUMENTS = {"customer": "acme"}
TURNS = tuple(
    tuple(Call(f"call-{name}", name, ARGUMENTS) for name in names)
    for names in (("look_up", "reserve"), ("charge",), ("ship",))
)


@dataclass(frozen=True)
class Plan:
    """What may happen outside; see ``durable.testing.receiver.Expected``."""

    effects: Mapping[str, str] = field(
        default_factory=lambda: {"look_up": "read", "reserve": "idempotent", "charge": "once", "ship": "once"}
    )
    gated: frozenset[str] = frozenset({"charge"})
    refused: frozenset[str] = frozenset()


PLAN = Plan()
POLICIES = {"charge": ToolPolicy(effect="once", approval=True)}
LABELS = (START, *(f"after {name}" for name in PLAN.effects))


def four_tools(desk: Desk) -> list[Callable[..., Any]]:
    """Make the tools of the plan."""

    def declared(name: str, effect: Any) -> Callable[..., Any]:
        def send(customer: str) -> str:
            """Do it."""
            return desk.outside.effect(name, {"customer": customer}, key=current().idempotency_key)

        send.__name__ = name
        return tool(effect=effect)(send)

    return [declared(name, effect) for name, effect in PLAN.effects.items()]


def undisturbed(desk: Desk, *, streamed: bool) -> None:
    """Run it to its end in one process. Raises AssertionError if an invariant does not hold even then."""
    desk.process()
    live(desk, streamed=streamed, recover_first=False)
    check(desk, streamed=streamed)
    assert desk.script.asked == [*range(len(TURNS) + 1)]


def kill_and_recover(desk: Desk, moment: Moment, *, streamed: bool) -> bool:
    """Kill a process at this moment, let others go on, and check. Return False if the moment did not come."""

    def work() -> None:
        death = Death(moment)
        desk.outside = desk.script.outside = Outside(desk.outside.path, death.point)
        desk.process(point=death.point)
        death.point(START)
        live(desk, streamed=streamed, recover_first=False)

    died = killed(work)
    desk.process()
    live(desk, streamed=streamed, recover_first=moment.commits % 2 == 1)
    check(desk, streamed=streamed)
    return died


def live(desk: Desk, *, streamed: bool, recover_first: bool) -> None:
    """Push the execution to its end, from wherever it stands, in this process."""
    if recover_first:
        desk.runtime.recover()
    if not recover_first or not _exists(desk):
        _calling(desk, streamed=streamed)
    for _ in range(ROUNDS):
        if desk.handle().execution().ended:
            return
        for interrupt in desk.runtime.interrupts():
            _decide(desk, interrupt)
        desk.runtime.recover()
    raise AssertionError(f"stuck: {desk.handle().execution()}, open: {desk.runtime.interrupts()}")


def check(desk: Desk, *, streamed: bool) -> None:
    """Hold the invariants against what is left outside and in the journal."""
    ledger = desk.outside.lines()
    rules = (once_each(PLAN, ledger), results_are_final(ledger), permitted(PLAN, ledger), all_happened(PLAN, ledger))
    assert [str(violation) for rule in rules for violation in rule] == []
    _check_journal(desk)
    turns = desk.script.asked
    assert "".join(_calling(desk, streamed=streamed) or []) == WORDS
    assert desk.script.asked == turns, "an ended execution asked its model again"
    assert desk.outside.counts() == Counter(line["effect"] for line in ledger if line["what"] == "arrived")


def _check_journal(desk: Desk) -> None:
    handle = desk.handle()
    assert (handle.status, handle.verify()) == ("succeeded", len(handle.history()))
    assert desk.runtime.interrupts() == []
    doubts = {doubt.tool for doubt in desk.runtime.interrupts(status=None, kind="in_doubt")}
    assert {PLAN.effects[str(name)] for name in doubts} <= {"once"}, f"in doubt, which is not once: {doubts}"


def _calling(desk: Desk, *, streamed: bool) -> str | list[str] | None:
    return desk.stream() if streamed else desk.run()


def _exists(desk: Desk) -> bool:
    try:
        desk.handle()
    except ExecutionNotFound:
        return False
    return True


def _decide(desk: Desk, interrupt: Interrupt) -> None:
    decision = Decision.approve()
    if interrupt.kind == "in_doubt":
        name = str(interrupt.tool)
        happened = desk.outside.happened(name)
        decision = Decision.happened(answer(name)) if happened else Decision.did_not_happen()
    about = {"tool": interrupt.tool, "kind": interrupt.kind, "arguments": interrupt.arguments}
    desk.outside.write("decided", decision=decision.kind, **about)
    desk.runtime.decide(interrupt.id, decision, by="ann")
