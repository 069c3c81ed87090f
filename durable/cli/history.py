"""Show a journal as people read it: one line a record, and one more for a crash, which left no record."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from durable.cli.render import STYLES, cell, moment, short, table, took
from durable.record.events import (
    Attempted,
    Cancelled,
    Claimed,
    Compensating,
    Failed,
    GraphCheckpoint,
    InterruptClosed,
    InterruptOpened,
    LetGo,
    MustWait,
    Note,
    OutcomeUnknown,
    Signal,
    Started,
    StepDone,
    StepFailed,
    StepRetry,
    StepStarted,
    Succeeded,
    Suspended,
    TaskWrites,
    Timer,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.table import Table

    from durable.checkpoint.records import Record
    from durable.record.events import Described, Event

_LONG_ID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f-]{27}\b")
_STYLES = {
    "claimed": "cyan",
    "step_failed": "red",
    "step_retry": "yellow",
    "interrupt_opened": "yellow",
    "note": "dim",
    "crash": "bold red",
    **STYLES,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a history. ``seq`` is empty for a crash, ``seconds`` where nothing was measured."""

    seq: int | None
    epoch: int
    kind: str
    step: str
    what: str
    seconds: float | None = None


def lines(records: Iterable[Record], *, gone: bool = False) -> list[Line]:
    """Return what happened, in order.

    ``gone`` says that the process that owns the execution now is known to be dead.
    """
    reading = _Reading()
    result = [line for record in records for line in reading.lines(record)]
    return [*result, reading.crash(result[-1].epoch)] if gone and result else result


def brief(lines: list[Line]) -> list[Line]:
    """Return the lines without checkpoints and without steps that only hold others, such as a graph's nodes.

    Keys lose the names of these outer steps.
    """
    places = {line.step.rpartition("/")[0] for line in lines}
    short_lines = [line for line in lines if line.kind != "checkpoint" and (not line.step or line.step not in places)]
    return [replace(line, step=line.step.rpartition("/")[2]) for line in short_lines]


def shown(lines: list[Line]) -> Table:
    """Return the lines as a table; each claim begins a section."""
    rows = table("seq", "epoch", "kind", "step", "what", "took", fixed=("seq", "kind", "took"))
    before = ""
    for line in lines:
        if line.kind == "crash" or (line.kind == "claimed" and before != "crash"):
            rows.add_section()
        before = line.kind
        cells = (line.seq, line.epoch, line.kind, line.step, line.what, took(line.seconds))
        rows.add_row(*(cell(value, _STYLES.get(line.kind, "")) for value in cells))
    return rows


def who(owner: object) -> str:
    """Return an owner's host and process, without what makes the name unique."""
    parts = str(owner or "").split(":")
    return ":".join(parts[:2]) if len(parts) > 1 else parts[0]


class _Reading:
    """State while a journal is read: its last owner, what is finished, what is in flight, what was asked when."""

    def __init__(self) -> None:
        self.owner = ""
        self.let_go = True
        self.finished: set[str] = set()
        self.in_flight: dict[str, str] = {}
        self.asked: dict[str, float] = {}

    def lines(self, record: Record) -> list[Line]:
        event = unpack(record)
        if isinstance(event, Claimed):
            return self._claimed(record, event)
        seconds = event.seconds if isinstance(event, Attempted) else None
        if isinstance(event, InterruptOpened):
            self.asked[event.interrupt] = record.at
        elif isinstance(event, InterruptClosed) and event.interrupt in self.asked:
            seconds = record.at - self.asked[event.interrupt]
        self._follow(record.step_key, event)
        return [Line(record.seq, record.epoch, record.kind, _step(record, event), _said(record, event), seconds)]

    def crash(self, epoch: int) -> Line:
        """Return the line for an owner that ended without a word."""
        lost = ", ".join(sorted(self.in_flight.values()))
        text = f"{who(self.owner)} did not let go" + (f"; outcome unknown: {lost}" if lost else "")
        return Line(None, epoch, "crash", "", text)

    def _claimed(self, record: Record, event: Claimed) -> list[Line]:
        crashed = not self.let_go
        before = [self.crash(record.epoch - 1)] if crashed else []
        self.owner = event.owner
        self.let_go = False
        verb = "continued by"
        if crashed:
            verb = "recovered by"
        elif record.epoch == 1:
            verb = "by"
        replayed = f"; {len(self.finished)} finished steps are replayed, not run" if self.finished else ""
        return [*before, Line(record.seq, record.epoch, "claimed", "", f"{verb} {who(self.owner)}{replayed}")]

    def _follow(self, key: str | None, event: Event) -> None:
        if isinstance(event, (Succeeded, Failed, Cancelled, LetGo)):
            self.let_go = True
            self.in_flight.clear()
        if key is None:
            return
        if isinstance(event, StepStarted):
            self.in_flight[key] = event.name or key
        elif isinstance(event, (StepDone, StepFailed, StepRetry, Signal)):
            self.in_flight.pop(key, None)
            if not isinstance(event, StepRetry):
                self.finished.add(key)


def _step(record: Record, event: Event) -> str:
    """Return the step's key with its long ids cut short. They are whole in ``--json``."""
    return _LONG_ID.sub(lambda match: match.group(1), record.step_key or event.about or "")


class _Words(str):
    """Words of ours about a value, which stand without quotes."""

    __slots__ = ()


def _gist(value: Any) -> Any:
    """Return what a message says, instead of all that it is. Other values are returned as they are."""
    if isinstance(value, list):
        return _gist(value[0]) if len(value) == 1 else [_gist(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = value.get("message", value.get("messages"))
    if inner is not None and "$type" not in value:
        return _gist(inner)
    return _gist_of_message(value) if "content" in value and "$type" in value else value


def _gist_of_message(message: dict[str, Any]) -> Any:
    calls = [call.get("name") for call in message.get("tool_calls") or () if isinstance(call, dict)]
    if calls:
        return _Words(f"calls {', '.join(map(str, calls))}")
    return _unwrapped(message["content"])


def _unwrapped(content: Any) -> Any:
    """Return the data in a message's text where it is JSON, so that it is shown once and not as a text in a text."""
    if not isinstance(content, str) or not content.startswith(("{", "[")):
        return content
    try:
        return json.loads(content)
    except ValueError:
        return content


def _said(record: Record, event: Event) -> str:
    match event:
        case StepDone() | Signal():
            return _done(record, event)
        case Note():
            return _note(event)
    say = _SAY.get(type(event))
    if say is not None:
        return say(event)
    return short(dict(record.meta), 100) if record.meta else ""


def _failure(error: Described | None) -> str:
    return f"{error['type']}: {error['message']}" if error else ""


def _started(event: Started) -> str:
    return f"app {event.app}" + (f", thread {event.thread}" if event.thread else "")


def _done(record: Record, event: StepDone | Signal) -> str:
    name = event.name or ""
    how = ""
    if isinstance(event, StepDone):
        if event.result_lost is not None:
            return f"{name} is done, its result is lost: {event.result_lost}"
        how = _how(event)
    gist = _gist(record.value())
    return f"{name}{how} -> {gist if isinstance(gist, _Words) else short(gist, 60)}"


def _how(event: StepDone) -> str:
    if event.reconciled:
        return " (reconciled)"
    return f" (said {event.by})" if event.by else ""


def _step_failed(event: StepFailed) -> str:
    name = event.name or ""
    if event.rejected is not None:
        return f"{name} {'not allowed' if event.not_allowed else 'rejected'}: {event.rejected}"
    return f"{name} failed: {_failure(event.error)}"


def _step_retry(event: StepRetry) -> str:
    if event.waits_inside:
        return f"{event.name} waits for a call inside of it"
    return f"{event.name} failed: {_failure(event.error)}; again at {moment(event.not_before)}"


def _opened(event: InterruptOpened) -> str:
    name = event.name if event.budget is None else f"the budget, {event.budget}"
    return f"{event.interrupt_kind} {event.interrupt} asked" + (f" for {name}" if name else "")


def _closed(event: InterruptClosed) -> str:
    why = f", reason: {event.reason}" if event.reason else ""
    why += f", comment: {event.comment}" if event.comment else ""
    for delegation in event.delegations or ():
        why += f", handed to {delegation['to']} by {delegation['by']}"
    return f"{event.decision} by {event.by or 'nobody'}{why}"


def _note(event: Note) -> str:
    name = event.event.replace("_", " ")
    match event:
        case Suspended():
            waits = [*event.interrupts, *(f"signal {signal}" for signal in event.signals)]
            return "waits for " + ", ".join(waits if event.until is None else [*waits, moment(event.until)])
        case Compensating():
            ending = event.ending
            return f"undoes {', '.join(event.tools)}; then {ending.status}: {ending.reason or _failure(ending.error)}"
        case OutcomeUnknown():
            return f"{name}: {_failure(event.error)}"
        case MustWait():
            return f"{name}: {event.of}, again at {moment(event.until)}"
    more = {field: value for field, value in event.said().items() if field != "step"}
    return name + (f" {short(more)}" if more else "")


def _undone(event: Failed | Cancelled) -> str:
    return f"; undone: {', '.join(event.compensated)}" if event.compensated else ""


_SAY: Mapping[type[Event], Callable[[Any], str]] = {
    Started: _started,
    GraphCheckpoint: lambda event: f"superstep {event.step} ({event.source})",
    TaskWrites: lambda event: f"writes to {event.channels}",
    StepStarted: lambda event: f"{event.name} ({event.effect}), attempt {event.attempt}",
    StepFailed: _step_failed,
    StepRetry: _step_retry,
    InterruptOpened: _opened,
    InterruptClosed: _closed,
    Timer: lambda event: f"until {moment(event.due_at)}",
    Failed: lambda event: _failure(event.error) + _undone(event),
    Cancelled: lambda event: event.reason + _undone(event),
}
