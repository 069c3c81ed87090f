"""Pauses: a framework's own questions, mirrored into the one inbox and answered from it.

Each native pause is one row, at a step key made of a prefix and the framework's own id. A decision is taken into the
journal once; what the framework is told on a replay is read from there. A caller who answers in the framework's own
way decides in the inbox like everybody else, and approves nothing that a policy gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.errors import Cancelled, InvalidDecision
from durable.inbox.ask import Answer, answer_to, ask_person
from durable.inbox.kinds import QUESTION, InterruptKind
from durable.record.events import Called, InterruptClosed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from durable.checkpoint.records import Interrupt, Record
    from durable.live.segment import Segment
    from durable.runtime import Runtime

CALL = "call"
"""The field of a pause's subject that names the call it confirms."""


@dataclass(frozen=True, slots=True)
class Pause:
    """What a framework asks for: at which step key, under which name, and what a person is shown.

    One about a ``tool`` is answered for its arguments, of which ``arguments_hash`` is the fingerprint.
    """

    key: str
    name: str
    subject: Mapping[str, Any]
    kind: InterruptKind = QUESTION
    tool: str | None = None
    arguments_hash: str | None = None


def mirror(segment: Segment, pause: Pause) -> None:
    """Put a native pause into the inbox, durable before this returns; one that is there already is waited for."""
    outcome = segment.replay.at(pause.key)
    row = segment.interrupt(outcome.interrupt or "")
    if row is not None:
        segment.wait_for(row)
        return
    about, hashed = Called(name=pause.name, arguments_hash=pause.arguments_hash or ""), pause.arguments_hash
    ask_person(segment, outcome, pause.kind, pause.subject, tool=pause.tool, arguments_hash=hashed, about=about)


def take_answers(segment: Segment, *prefixes: str) -> dict[str, Answer]:
    """Take what was decided about native pauses into the journal, once. Return the answers by step key.

    Raises Cancelled if a question was rejected; of a tool that only says that its call is not confirmed.
    """
    answers: dict[str, Answer] = {}
    for key, outcome in list(segment.replay.steps.items()):
        if not key.startswith(prefixes) or outcome.interrupt is None:
            continue
        interrupt = segment.interrupt(outcome.interrupt)
        if interrupt is not None and interrupt.status == "decided" and (answer := answer_to(segment, outcome)):
            answers[key] = answer
            _use_up(segment, answer)
    return answers


def _use_up(segment: Segment, answer: Answer) -> None:
    interrupt = answer.interrupt
    confirmed = {} if interrupt.subject.get(CALL) is None else {"confirms": interrupt.subject[CALL]}
    closed, consume = answer.closing(segment, **confirmed)
    segment.append(closed, companions=[consume])
    if answer.decision.kind == "reject" and interrupt.tool is None:
        raise Cancelled(answer.decision.reason or "rejected")


def answered(segment: Segment, prefix: str) -> dict[str, Record]:
    """Return the records of all answers to native pauses with this prefix, by the framework's own id."""
    closed = (record for record in segment.records if record.kind == InterruptClosed.KIND)
    return {
        record.step_key.removeprefix(prefix): record
        for record in closed
        if record.step_key is not None and record.step_key.startswith(prefix)
    }


def unanswered(runtime: Runtime, execution_id: str, *prefixes: str) -> dict[str, Interrupt]:
    """Return the open rows of native pauses, by the framework's own id. Blocks."""
    rows: dict[str, Interrupt] = {}
    for row in runtime.interrupts(execution_id=execution_id):
        prefix = next((each for each in prefixes if row.step_key.startswith(each)), None)
        if prefix is not None:
            rows[row.step_key.removeprefix(prefix)] = row
    return rows


def approves_nothing(native_answer: str, execution_id: str, rows: Iterable[Interrupt]) -> InvalidDecision:
    """Return the refusal of a native answer to what only a decision in the inbox answers."""
    ids = ", ".join(row.id for row in rows)
    waits = f"waits for a decision by a person on {ids}" if ids else "waits for no answer"
    return InvalidDecision(
        f"{native_answer} approves nothing: execution {execution_id!r} {waits}; use runtime.decide(...) or "
        "`durable approvals`"
    )
