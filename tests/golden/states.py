"""How a golden execution is brought to a state, and from there to its end: by people, signals and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable import Decision
from tests.golden import adk_app, core_app, langgraph_app, openai_app

if TYPE_CHECKING:
    from durable import Runtime

APPS: dict[str, Any] = {"core": core_app, "langgraph": langgraph_app, "openai": openai_app, "adk": adk_app}
ID = "golden"


def answer(runtime: Runtime) -> None:
    """Answer the question."""
    [question] = runtime.interrupts(kind="choice")
    runtime.decide(question.id, Decision.respond("blue"), by="ann", comment="as the walls")


def send(runtime: Runtime) -> None:
    """Send the signal."""
    runtime.get(ID).signal("paid", core_app.PAID, id="delivery-1")


def approve(runtime: Runtime) -> None:
    """Approve the gated call."""
    [gated] = runtime.interrupts(kind="approval")
    assert gated.tool == "enable"
    runtime.decide(gated.id, Decision.approve(), by="bob", comment="fine")


def confirm(runtime: Runtime) -> None:
    """Give the answer that a framework waits for in its own way."""
    [native] = runtime.interrupts()
    sure = Decision.approve() if native.kind == "approval" else Decision.respond(value=True)
    runtime.decide(native.id, sure, by="bob")


def settle(runtime: Runtime, decision: Decision) -> None:
    """Say what became of the call that a crash has cut off."""
    [doubt] = runtime.interrupts(kind="in_doubt")
    assert doubt.tool == "deliver"
    runtime.decide(doubt.id, decision, by="bob")
