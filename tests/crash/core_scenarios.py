"""Scenarios of the core alone: plain durable functions, no framework."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import text

from durable import Approval, Decision, Done, NotDone, Retry, ask, current, sleep, step, tool, wait_signal
from durable.checkpoint.errors import ToolRejected
from tests.crash.facts import BOOKINGS
from tests.crash.scenario import Scenario
from tests.crash.world import Refused, answer

if TYPE_CHECKING:
    from durable import Interrupt, Runtime
    from tests.crash.world import World

PATIENCE = 0.1
"""Seconds that a slow outside takes at most."""

AGAIN = Retry(attempts=3, initial=0.001, on=(Refused,))


def send(world: World, name: str, refuse_first: int = 0, **arguments: Any) -> str:
    """An effect of the step that runs now."""
    return world.effect(name, arguments, key=current().idempotency_key, refuse_first=refuse_first)


async def later_than(world: World, effect: str) -> None:
    """The outside is slow: it answers after another effect has arrived, or after a while if that does not come."""
    give_up = time.monotonic() + PATIENCE
    while not world.happened(effect) and time.monotonic() < give_up:
        await asyncio.sleep(0.001)


class Effects(Scenario):
    """All four effects one after another, retries, a reconcile function, and a step inside of a step."""

    name = "effects"
    effects = {
        "look_up": "read",
        "reserve": "idempotent",
        "book": "transactional",
        "charge": "once",
        "deliver": "once",
        "publish": "once",
        "inner": "once",
    }
    expected = {"effects": ("succeeded", "all done")}
    tables = (f"CREATE TABLE {BOOKINGS} (effect VARCHAR(20))",)

    def build(self, runtime: Runtime, world: World) -> None:
        @tool(effect="read")
        def look_up(customer: str) -> str:
            return send(world, "look_up", customer=customer)

        @tool(effect="idempotent", retry=AGAIN)
        def reserve(customer: str) -> str:
            return send(world, "reserve", refuse_first=1, customer=customer)

        @tool(effect="transactional")
        def book(amount: int) -> str:
            world.point("before book")
            current().connection.execute(text(f"INSERT INTO {BOOKINGS} VALUES ('book')"))
            world.point("after book")
            return answer("book")

        @tool
        def charge(amount: int) -> str:
            return send(world, "charge", amount=amount)

        @tool(retry=AGAIN)
        def deliver(parcel: str) -> str:
            return send(world, "deliver", refuse_first=1, parcel=parcel)

        def found(_key: str, _arguments: Any) -> Done | NotDone:
            return Done(answer("publish")) if world.happened("publish") else NotDone()

        @tool(reconcile=found)
        def publish(page: str) -> str:
            return send(world, "publish", page=page)

        @tool
        def inner(part: str) -> str:
            return send(world, "inner", part=part)

        def outer() -> str:
            return inner("a")

        @runtime.function(self.app)
        def app() -> str:
            world.acknowledged("look_up", look_up("acme"))
            world.acknowledged("reserve", reserve("acme"))
            world.acknowledged("book", book(7))
            world.acknowledged("charge", charge(7))
            world.acknowledged("deliver", deliver("p"))
            world.acknowledged("publish", publish("/"))
            world.acknowledged("inner", step.options(effect="read")(outer))
            return "all done"


class Approved(Scenario):
    """Gated tools that a person lets run: one whose effect happens once, one whose effect may be repeated."""

    name = "approved"
    effects = {"enable": "once", "announce": "idempotent"}
    gated = frozenset(effects)
    expected = {"approved": ("succeeded", "enabled")}

    def build(self, runtime: Runtime, world: World) -> None:
        @tool(approval=True)
        def enable(plan: str) -> str:
            return send(world, "enable", plan=plan)

        @tool(effect="idempotent", approval=True)
        def announce(text: str) -> str:
            return send(world, "announce", text=text)

        @runtime.function(self.app)
        def app() -> str:
            world.acknowledged("enable", enable("paid"))
            world.acknowledged("announce", announce("hello"))
            return "enabled"


class Corrected(Scenario):
    """Gated tools that a person does not let run as they were asked: one is edited, one is refused."""

    name = "corrected"
    effects = {"refund": "once", "wipe": "once"}
    gated = frozenset(effects)
    refused = frozenset({"wipe"})
    expected = {"corrected": ("succeeded", "kept")}

    def build(self, runtime: Runtime, world: World) -> None:
        @tool(approval=Approval(when=lambda arguments: arguments["amount"] > 10))
        def refund(amount: int) -> str:
            return send(world, "refund", amount=amount)

        @tool(approval=True)
        def wipe(disk: str) -> str:
            return send(world, "wipe", disk=disk)

        @runtime.function(self.app)
        def app() -> str:
            world.acknowledged("refund", refund(1000))
            try:
                return wipe("c")
            except ToolRejected as no:
                return str(world.acknowledged("wipe", "kept" if no.reason == "no" else no.reason))

    def answer(self, interrupt: Interrupt, world: World) -> Decision | None:
        if interrupt.kind == "approval" and interrupt.tool == "refund":
            return Decision.edit({"amount": 10})
        return super().answer(interrupt, world)


class SideBySide(Scenario):
    """Branches of ``asyncio.gather``: mixed effects, chains of the same tools, and a branch that waits for a person.

    The first chain is slower than the second, so their calls come in another order than when they are replayed.
    """

    name = "side by side"
    effects = {
        "fetch a": "read",
        "fetch b": "read",
        "push a": "idempotent",
        "push b": "idempotent",
        "pay": "once",
        "mail": "once",
        "approve": "once",
    }
    gated = frozenset({"approve"})
    expected = {"side by side": ("succeeded", ["a", "b", "paid", "approved"])}
    side_by_side = 2

    def build(self, runtime: Runtime, world: World) -> None:
        @tool(effect="read")
        async def fetch(what: str) -> str:
            if what == "a":
                await later_than(world, "push b")
            return send(world, f"fetch {what}", what=what)

        @tool(effect="idempotent")
        async def push(what: str) -> str:
            answered = send(world, f"push {what}", what=what)
            if what == "b":
                await later_than(world, "push a")
            return answered

        @tool
        async def pay() -> str:
            return send(world, "pay")

        @tool
        async def mail() -> str:
            return send(world, "mail")

        @tool(approval=True)
        async def approve(plan: str) -> str:
            return send(world, "approve", plan=plan)

        async def chain(what: str) -> str:
            world.acknowledged(f"fetch {what}", await fetch(what))
            world.acknowledged(f"push {what}", await push(what))
            return what

        async def paying() -> str:
            world.acknowledged("pay", await pay())
            world.acknowledged("mail", await mail())
            return "paid"

        async def approving() -> str:
            world.acknowledged("approve", await approve("paid"))
            return "approved"

        @runtime.function(self.app)
        async def app() -> list[str]:
            return list(await asyncio.gather(chain("a"), chain("b"), paying(), approving()))


class Waiting(Scenario):
    """A question and a sleep of an hour, between effects."""

    name = "waiting"
    effects = {"first": "once", "second": "idempotent"}
    expected = {"waiting": ("succeeded", "blue")}

    def build(self, runtime: Runtime, world: World) -> None:
        @tool
        def first(color: str) -> str:
            return send(world, "first", color=color)

        @tool(effect="idempotent")
        def second() -> str:
            return send(world, "second")

        @runtime.function(self.app)
        def app() -> str:
            color = ask("which color?", choices=("red", "blue"))
            world.acknowledged("first", first(color))
            sleep(3600)
            world.acknowledged("second", second())
            return str(color)

    def answer(self, interrupt: Interrupt, world: World) -> Decision | None:
        return Decision.respond("blue") if interrupt.kind == "choice" else super().answer(interrupt, world)


class Signalled(Scenario):
    """A signal that an execution waits for, in async code."""

    name = "signalled"
    effects = {"before": "once", "ship": "once"}
    expected = {"signalled": ("succeeded", {"paid": True})}

    def build(self, runtime: Runtime, world: World) -> None:
        @tool
        async def before() -> str:
            return send(world, "before")

        @tool
        async def ship(paid: dict[str, bool]) -> str:
            return send(world, "ship", paid=paid)

        @runtime.function(self.app)
        async def app() -> Any:
            world.acknowledged("before", await before())
            paid = await wait_signal("paid")
            world.acknowledged("ship", await ship(paid))
            return paid

    def deliver(self, runtime: Runtime, world: World) -> None:
        for execution in runtime.executions(status="suspended"):
            if execution.waits_for and not world.lines("sent"):
                runtime.get(execution.id).signal("paid", {"paid": True})
                world.write("sent")


class Superseded(Scenario):
    """New input on a thread whose execution waits for an answer; and an execution that is cancelled while it waits."""

    name = "superseded"
    effects: ClassVar = {}
    expected = {"old": ("cancelled", None), "new": ("succeeded", "fresh"), "dropped": ("cancelled", None)}

    def build(self, runtime: Runtime, world: World) -> None:
        @runtime.function(self.app)
        def app(say: str) -> str:
            return say if say == "fresh" else ask("what?")

    def start(self, runtime: Runtime) -> None:
        runtime.run(self.app, {"say": "stale"}, id="old", thread="t")
        runtime.run(self.app, {"say": "fresh"}, id="new", thread="t")
        runtime.run(self.app, {"say": "wait"}, id="dropped")

    def deliver(self, runtime: Runtime, world: World) -> None:
        runtime.get("dropped").cancel("not wanted")


class Retried(Scenario):
    """An execution that fails for good, and is told to try again."""

    name = "retried"
    effects = {"prepare": "once", "flaky": "once"}
    expected = {"retried": ("succeeded", "flaky done")}

    def build(self, runtime: Runtime, world: World) -> None:
        @tool
        def prepare() -> str:
            return send(world, "prepare")

        @tool
        def flaky() -> str:
            return send(world, "flaky", refuse_first=1)

        @runtime.function(self.app)
        def app() -> str:
            world.acknowledged("prepare", prepare())
            return str(world.acknowledged("flaky", flaky()))

    def deliver(self, runtime: Runtime, world: World) -> None:
        for execution in runtime.executions(status="failed"):
            runtime.get(execution.id).retry()


CORE = (Effects, Approved, Corrected, SideBySide, Waiting, Signalled, Superseded, Retried)
