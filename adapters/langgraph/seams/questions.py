"""LangGraph's own ``interrupt()``: mirrored into the one inbox, answered from it.

Each native interrupt is a row keyed by its id. An answer, from the inbox or by ``Command(resume=...)``, is taken
into the journal once and handed to LangGraph as a resume map, for the interrupts its own state still waits on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from durable.adapters.langgraph.seams.suspension import is_ours, remember_native
from durable.errors import Cancelled, InvalidDecision
from durable.inbox.ask import answer_to, ask_person
from durable.inbox.decision import Decision
from durable.inbox.kinds import QUESTION
from durable.record.events import Called

if TYPE_CHECKING:
    from langgraph.errors import GraphInterrupt

    from durable.checkpoint import records
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
        outcome = segment.replay.at(KEY + native.id)
        if outcome.interrupt is None:
            subject = {"question": native.value, "schema": getattr(native, "response_schema", None)}
            ask_person(segment, outcome, QUESTION, subject, about=Called(name="interrupt", arguments_hash=""))
        elif (known := segment.interrupt(outcome.interrupt)) is not None:
            segment.wait_for(known)


def open_breakpoint(segment: Segment, checkpoint_id: str, nodes: tuple[str, ...]) -> None:
    """Put a static breakpoint (``interrupt_before`` / ``interrupt_after``) into the inbox."""
    outcome = segment.replay.at(BREAKPOINT + checkpoint_id)
    if outcome.interrupt is None:
        question = f"stopped before {', '.join(nodes)}: go on?"
        about = Called(name="breakpoint", arguments_hash="")
        ask_person(segment, outcome, QUESTION, {"question": question, "schema": None}, about=about)


def take_answers(segment: Segment) -> dict[str, Any]:
    """Take what was decided about native interrupts and breakpoints into the journal, once. The answers by native id.

    Raises Suspended if a breakpoint was not decided, Cancelled if a question was rejected.
    """
    taken: dict[str, Any] = {}
    for key, outcome in list(segment.replay.steps.items()):
        if not key.startswith((KEY, BREAKPOINT)) or outcome.interrupt is None:
            continue
        interrupt = segment.interrupt(outcome.interrupt)
        if interrupt is None or interrupt.status != "decided":
            continue
        answer = answer_to(segment, outcome)
        if answer is None:
            continue
        closed, consume = answer.closing(segment)
        segment.append(closed, companions=[consume])
        if answer.decision.kind == "reject":
            raise Cancelled(answer.decision.reason or "rejected")
        if key.startswith(KEY):
            taken[key.removeprefix(KEY)] = answer.decision.value
    return taken


def answers(segment: Segment) -> dict[str, Any]:
    """All answers of this execution by native interrupt id."""
    found = {}
    for record in segment.records:
        if record.kind == "interrupt_closed" and (record.step_key or "").startswith(KEY):
            found[str(record.step_key).removeprefix(KEY)] = record.value()
    return found


def decide_natively(runtime: Runtime, execution_id: str, resume: Any) -> None:
    """Record a caller's ``Command(resume=...)`` as decisions on the native interrupts it answers.

    A gated tool is never approved this way. Raises InvalidDecision where LangGraph would not know what is answered.
    """
    waiting = runtime.interrupts(execution_id=execution_id)
    native = {row.step_key.removeprefix(KEY): row for row in waiting if row.step_key.startswith((KEY, BREAKPOINT))}
    if isinstance(resume, Mapping) and resume and all(key in native for key in resume):
        given = {native[key]: value for key, value in resume.items()}
    elif len(native) == 1:
        given = {next(iter(native.values())): resume}
    elif not native:
        raise InvalidDecision(_no_question(execution_id, waiting))
    else:
        msg = f"execution {execution_id!r} waits for several answers; resume with a map of their ids: {sorted(native)}"
        raise InvalidDecision(msg)
    for row, value in given.items():
        runtime.decide(row.id, Decision.respond(value), by=BY_CALLER)


def _no_question(execution_id: str, waiting: list[records.Interrupt]) -> str:
    if not waiting:
        return f"execution {execution_id!r} waits for no answer; Command(resume=...) has nothing to resume"
    ids = ", ".join(row.id for row in waiting)
    return (
        f"execution {execution_id!r} waits for a decision by a person on {ids}; use runtime.decide(...) or "
        "`durable approvals`, a Command(resume=...) approves nothing"
    )
