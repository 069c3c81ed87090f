"""Scenarios of the core alone: plain durable functions, no framework. All four effects, doubts, branches side by side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from durable import Done, NotDone, current, step, tool
from durable.testing.outside import answer
from tests.crash.effects import AGAIN, later_than, send
from tests.crash.facts import BOOKINGS
from tests.crash.scenario import Scenario
from tests.crash.waiting_scenarios import (
    Approved,
    Asked,
    Asleep,
    Cancelled,
    Edited,
    Rejected,
    Retried,
    Signalled,
    Superseded,
)

if TYPE_CHECKING:
    from durable import Runtime
    from durable.testing.outside import Outside


class Effects(Scenario):
    """All four effects one after another, one of them with retries."""

    name = "effects"
    effects = {"look_up": "read", "reserve": "idempotent", "book": "transactional", "charge": "once"}
    expected = {"effects": ("succeeded", "all done")}
    tables = (f"CREATE TABLE {BOOKINGS} (effect VARCHAR(20))",)

    def build(self, runtime: Runtime, world: Outside) -> None:
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

        @runtime.function(self.app)
        def app() -> str:
            world.acknowledged("look_up", look_up("acme"))
            world.acknowledged("reserve", reserve("acme"))
            world.acknowledged("book", book(7))
            world.acknowledged("charge", charge(7))
            return "all done"


class Doubts(Scenario):
    """Once effects that are retried after a known failure, settled by a reconcile function, or made inside of a step."""

    name = "doubts"
    effects = {"deliver": "once", "publish": "once", "inner": "once"}
    expected = {"doubts": ("succeeded", "all done")}

    def build(self, runtime: Runtime, world: Outside) -> None:
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
            world.acknowledged("deliver", deliver("p"))
            world.acknowledged("publish", publish("/"))
            world.acknowledged("inner", step.options(effect="read")(outer))
            return "all done"


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

    def build(self, runtime: Runtime, world: Outside) -> None:
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


CORE = (
    Effects,
    Doubts,
    SideBySide,
    Approved,
    Edited,
    Rejected,
    Asked,
    Asleep,
    Signalled,
    Superseded,
    Cancelled,
    Retried,
)
