"""LangGraph's own ``interrupt()``: mirrored into the one inbox, answered from it.

Each native interrupt is a row keyed by its id. An answer, from the inbox or by ``Command(resume=...)``, is taken
into the journal once and handed to LangGraph as a resume map, for the interrupts its own state still waits on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from durable.adapters.langgraph.seams.suspension import is_ours, remember_native
from durable.errors import InvalidDecision
from durable.inbox.decision import Decision
from durable.kit import Pause, answered, approves_nothing, mirror, take_answers, unanswered

if TYPE_CHECKING:
    from langgraph.errors import GraphInterrupt

    from durable.live.segment import Segment
    from durable.runtime import Runtime

KEY = "interrupt:"
BREAKPOINT = "breakpoint:"
BY_CALLER = "Command(resume)"
"""Who answered, where the caller kept LangGraph's own way."""


def open_native(segment: Segment, exc: GraphInterrupt, step_key: str) -> None:
    """Put the native interrupts of a step into the inbox; those that are there already stay as they are."""
    natives = [native for native in (exc.args[0] if exc.args else ()) if not is_ours(native)]
    remember_native(segment, step_key, natives)
    for native in natives:
        subject = {"question": native.value, "schema": getattr(native, "response_schema", None)}
        mirror(segment, Pause(KEY + native.id, "interrupt", subject))


def open_breakpoint(segment: Segment, checkpoint_id: str, nodes: tuple[str, ...]) -> None:
    """Put a static breakpoint (``interrupt_before`` / ``interrupt_after``) into the inbox."""
    question = f"stopped before {', '.join(nodes)}: go on?"
    mirror(segment, Pause(BREAKPOINT + checkpoint_id, "breakpoint", {"question": question, "schema": None}))


def pass_breakpoints(runtime: Runtime, execution_id: str) -> None:
    """Let an execution that stopped at a breakpoint go on: ``invoke(None)`` says so."""
    for row in unanswered(runtime, execution_id, BREAKPOINT).values():
        runtime.decide(row.id, Decision.respond(value=True), by="invoke(None)")


def take_natives(segment: Segment) -> dict[str, Any]:
    """Take what was decided into the journal. Return the new answers by native id.

    Raises Suspended if a breakpoint was not decided, Cancelled if a question was rejected.
    """
    taken = take_answers(segment, KEY, BREAKPOINT)
    return {key.removeprefix(KEY): answer.decision.value for key, answer in taken.items() if key.startswith(KEY)}


def answers(segment: Segment) -> dict[str, Any]:
    """Return all answers of this execution by native interrupt id."""
    return {native: record.value() for native, record in answered(segment, KEY).items()}


def decide_natively(runtime: Runtime, execution_id: str, resume: Any) -> None:
    """Record a caller's ``Command(resume=...)`` as decisions on the native interrupts it answers.

    A gated tool is never approved this way. Raises InvalidDecision where LangGraph would not know what is answered.
    """
    native = unanswered(runtime, execution_id, KEY, BREAKPOINT)
    if isinstance(resume, Mapping) and resume and all(key in native for key in resume):
        values = {native[key]: value for key, value in resume.items()}
    elif len(native) == 1:
        values = {next(iter(native.values())): resume}
    elif not native:
        raise approves_nothing(BY_CALLER, execution_id, runtime.interrupts(execution_id=execution_id))
    else:
        msg = f"execution {execution_id!r} waits for several answers; resume with a map of their ids: {sorted(native)}"
        raise InvalidDecision(msg)
    for row, value in values.items():
        runtime.decide(row.id, Decision.respond(value), by=BY_CALLER)
