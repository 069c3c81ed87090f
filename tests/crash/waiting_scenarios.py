"""Scenarios in which an execution waits, for a person, a time or a signal, or is ended from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from durable import Approval, Decision, ask, sleep, tool, wait_signal
from durable.errors import ToolRejected
from tests.crash.effects import send
from tests.crash.scenario import Scenario

if TYPE_CHECKING:
    from durable import Interrupt, Runtime
    from durable.testing.outside import Outside


class Approved(Scenario):
    """Gated tools that a person lets run: one whose effect happens once, one whose effect may be repeated."""

    name = "approved"
    effects = {"enable": "once", "announce": "idempotent"}
    gated = frozenset(effects)
    expected = {"approved": ("succeeded", "enabled")}

    def build(self, runtime: Runtime, world: Outside) -> None:
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


class Edited(Scenario):
    """A gated call that a person lets run with other arguments."""

    name = "edited"
    effects = {"refund": "once"}
    gated = frozenset(effects)
    expected = {"edited": ("succeeded", "refund done")}

    def build(self, runtime: Runtime, world: Outside) -> None:
        @tool(approval=Approval(when=lambda arguments: arguments["amount"] > 10))
        def refund(amount: int) -> str:
            return send(world, "refund", amount=amount)

        @runtime.function(self.app)
        def app() -> str:
            return str(world.acknowledged("refund", refund(1000)))

    def answer(self, interrupt: Interrupt, world: Outside) -> Decision | None:
        return Decision.edit({"amount": 10}) if interrupt.kind == "approval" else super().answer(interrupt, world)


class Rejected(Scenario):
    """A gated call that a person refuses; the app is told why and goes on."""

    name = "rejected"
    effects = {"wipe": "once", "keep": "once"}
    gated = frozenset({"wipe"})
    refused = frozenset({"wipe"})
    expected = {"rejected": ("succeeded", "keep done")}

    def build(self, runtime: Runtime, world: Outside) -> None:
        @tool(approval=True)
        def wipe(disk: str) -> str:
            return send(world, "wipe", disk=disk)

        @tool
        def keep(why: str) -> str:
            return send(world, "keep", why=why)

        @runtime.function(self.app)
        def app() -> str:
            try:
                return wipe("c")
            except ToolRejected as no:
                return str(world.acknowledged("keep", keep(no.reason)))


class Asked(Scenario):
    """A question to a person, and an effect that depends on the answer."""

    name = "asked"
    effects = {"paint": "once"}
    expected = {"asked": ("succeeded", "blue")}

    def build(self, runtime: Runtime, world: Outside) -> None:
        @tool
        def paint(color: str) -> str:
            return send(world, "paint", color=color)

        @runtime.function(self.app)
        def app() -> str:
            color = ask("which color?", choices=("red", "blue"))
            world.acknowledged("paint", paint(color))
            return str(color)

    def answer(self, interrupt: Interrupt, world: Outside) -> Decision | None:
        return Decision.respond("blue") if interrupt.kind == "choice" else super().answer(interrupt, world)


class Asleep(Scenario):
    """A sleep of an hour between two effects."""

    name = "asleep"
    effects = {"plant": "once", "harvest": "idempotent"}
    expected = {"asleep": ("succeeded", "harvest done")}

    def build(self, runtime: Runtime, world: Outside) -> None:
        @tool
        def plant() -> str:
            return send(world, "plant")

        @tool(effect="idempotent")
        def harvest() -> str:
            return send(world, "harvest")

        @runtime.function(self.app)
        def app() -> str:
            world.acknowledged("plant", plant())
            sleep(3600)
            return str(world.acknowledged("harvest", harvest()))


class Signalled(Scenario):
    """A signal that an execution waits for, in async code."""

    name = "signalled"
    effects = {"before": "once", "ship": "once"}
    expected = {"signalled": ("succeeded", {"paid": True})}

    def build(self, runtime: Runtime, world: Outside) -> None:
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

    def deliver(self, runtime: Runtime, world: Outside) -> None:
        for execution in runtime.executions(status="suspended"):
            if execution.waits_for and not world.lines("sent"):
                runtime.get(execution.id).signal("paid", {"paid": True})
                world.write("sent")


class Superseded(Scenario):
    """New input on a thread whose execution waits for an answer."""

    name = "superseded"
    effects: ClassVar = {}
    expected = {"old": ("cancelled", None), "new": ("succeeded", "fresh")}

    def build(self, runtime: Runtime, world: Outside) -> None:
        @runtime.function(self.app)
        def app(say: str) -> str:
            return say if say == "fresh" else ask("what?")

    def start(self, runtime: Runtime) -> None:
        runtime.run(self.app, {"say": "stale"}, id="old", thread="t")
        runtime.run(self.app, {"say": "fresh"}, id="new", thread="t")


class Cancelled(Scenario):
    """An execution that is cancelled while it waits for a person."""

    name = "cancelled"
    effects = {"before": "once"}
    expected = {"cancelled": ("cancelled", None)}

    def build(self, runtime: Runtime, world: Outside) -> None:
        @tool
        def before() -> str:
            return send(world, "before")

        @runtime.function(self.app)
        def app() -> str:
            world.acknowledged("before", before())
            return str(ask("go on?"))

    def answer(self, interrupt: Interrupt, world: Outside) -> Decision | None:
        return None if interrupt.kind == "question" else super().answer(interrupt, world)

    def deliver(self, runtime: Runtime, world: Outside) -> None:
        if world.lines("acknowledged"):
            runtime.get("cancelled").cancel("not wanted")


class Retried(Scenario):
    """An execution that fails for good, and is told to try again."""

    name = "retried"
    effects = {"prepare": "once", "flaky": "once"}
    expected = {"retried": ("succeeded", "flaky done")}

    def build(self, runtime: Runtime, world: Outside) -> None:
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

    def deliver(self, runtime: Runtime, world: Outside) -> None:
        for execution in runtime.executions(status="failed"):
            runtime.get(execution.id).retry()
