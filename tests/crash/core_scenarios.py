"""Scenarios of the core alone: plain durable functions, no framework."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

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


class Approvals(Scenario):
    """Gated tools: approved, edited, refused, and one whose effect may be repeated."""

    name = "approvals"
    effects = {"enable": "once", "refund": "once", "wipe": "once", "announce": "idempotent"}
    gated = frozenset(effects)
    refused = frozenset({"wipe"})
    expected = {"approvals": ("succeeded", "kept")}

    def build(self, runtime: Runtime, world: World) -> None:
        @tool(approval=True)
        def enable(plan: str) -> str:
            return send(world, "enable", plan=plan)

        @tool(approval=Approval(when=lambda arguments: arguments["amount"] > 10))
        def refund(amount: int) -> str:
            return send(world, "refund", amount=amount)

        @tool(approval=True)
        def wipe(disk: str) -> str:
            return send(world, "wipe", disk=disk)

        @tool(effect="idempotent", approval=True)
        def announce(text: str) -> str:
            return send(world, "announce", text=text)

        @runtime.function(self.app)
        def app() -> str:
            world.acknowledged("enable", enable("paid"))
            world.acknowledged("refund", refund(1000))
            try:
                wipe("c")
            except ToolRejected as no:
                kept = world.acknowledged("wipe", "kept" if no.reason == "no" else no.reason)
            world.acknowledged("announce", announce("hello"))
            return kept

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
    """A question, a sleep of an hour, and a signal, each between effects."""

    name = "waiting"
    effects = {"first": "once", "second": "idempotent", "third": "once"}
    expected = {"waiting": ("succeeded", ["blue", {"paid": True}])}

    def build(self, runtime: Runtime, world: World) -> None:
        @tool
        def first(color: str) -> str:
            return send(world, "first", color=color)

        @tool(effect="idempotent")
        def second() -> str:
            return send(world, "second")

        @tool
        def third(paid: dict[str, bool]) -> str:
            return send(world, "third", paid=paid)

        @runtime.function(self.app)
        def app() -> list[Any]:
            color = ask("which color?", choices=("red", "blue"))
            world.acknowledged("first", first(color))
            sleep(3600)
            world.acknowledged("second", second())
            paid = wait_signal("paid")
            world.acknowledged("third", third(paid))
            return [color, paid]

    def answer(self, interrupt: Interrupt, world: World) -> Decision | None:
        return Decision.respond("blue") if interrupt.kind == "choice" else super().answer(interrupt, world)

    def deliver(self, runtime: Runtime, world: World) -> None:
        for execution in runtime.executions(status="suspended"):
            if execution.waits_for and not world.lines("sent"):
                runtime.get(execution.id).signal("paid", {"paid": True})
                world.write("sent")


class Endings(Scenario):
    """Executions that are cancelled, superseded by new input on their thread, and retried after a failure."""

    name = "endings"
    effects = {"flaky": "once"}
    expected = {
        "old": ("cancelled", None),
        "new": ("succeeded", "fresh"),
        "dropped": ("cancelled", None),
        "again": ("succeeded", "flaky done"),
    }

    def build(self, runtime: Runtime, world: World) -> None:
        @tool
        def flaky() -> str:
            return send(world, "flaky", refuse_first=1)

        @runtime.function("talk")
        def talk(say: str) -> str:
            return say if say == "fresh" else ask("what?")

        @runtime.function("flaky")
        def failing() -> str:
            return world.acknowledged("flaky", flaky())

    def start(self, runtime: Runtime) -> None:
        runtime.run("talk", {"say": "stale"}, id="old", thread="t")
        runtime.run("talk", {"say": "fresh"}, id="new", thread="t")
        runtime.run("talk", {"say": "wait"}, id="dropped")
        runtime.run("flaky", None, id="again")

    def answer(self, interrupt: Interrupt, world: World) -> Decision | None:
        return None if interrupt.kind == "question" else super().answer(interrupt, world)

    def deliver(self, runtime: Runtime, world: World) -> None:
        for execution in runtime.executions():
            if execution.id == "dropped":
                runtime.get("dropped").cancel("not wanted")
            if execution.status == "failed":
                runtime.get(execution.id).retry()


CORE = (Effects, Approvals, SideBySide, Waiting, Endings)
