"""A journal as people read it: one line a record, and one more for what left no record, a crash."""

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
    """One line: ``seq`` is empty for a crash, ``seconds`` where nothing was measured."""

    seq: int | None
    epoch: int
    kind: str
    step: str
    what: str
    seconds: float | None = None


def lines(records: Iterable[Record], *, gone: bool = False) -> list[Line]:
    """What happened, in order; ``gone`` if the process that owns it now is known to be dead."""
    reading = _Reading()
    found = [line for record in records for line in reading.lines(record)]
    return [*found, reading.crash(found[-1].epoch)] if gone and found else found


def brief(found: list[Line]) -> list[Line]:
    """The lines without checkpoints and without steps that only hold others, as a graph's nodes; keys without these."""
    places = {line.step.rpartition("/")[0] for line in found}
    kept = [line for line in found if line.kind != "checkpoint" and (not line.step or line.step not in places)]
    return [replace(line, step=line.step.rpartition("/")[2]) for line in kept]


def shown(found: list[Line]) -> Table:
    """The lines as a table; each claim begins a section."""
    made = table("seq", "epoch", "kind", "step", "what", "took", fixed=("seq", "kind", "took"))
    before = ""
    for line in found:
        if line.kind == "crash" or (line.kind == "claimed" and before != "crash"):
            made.add_section()
        before = line.kind
        cells = (line.seq, line.epoch, line.kind, line.step, line.what, took(line.seconds))
        made.add_row(*(cell(value, _STYLES.get(line.kind, "")) for value in cells))
    return made


def who(owner: object) -> str:
    """An owner's host and process, without what makes the name unique."""
    parts = str(owner or "").split(":")
    return ":".join(parts[:2]) if len(parts) > 1 else parts[0]


class _Reading:
    """What has been read so far: who owned it last, what is finished, what is in flight, what was asked when."""

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
        """The line for an owner that ended without a word."""
        lost = ", ".join(sorted(self.in_flight.values()))
        what = f"{who(self.owner)} did not let go" + (f"; outcome unknown: {lost}" if lost else "")
        return Line(None, epoch, "crash", "", what)

    def _claimed(self, record: Record, event: Claimed) -> list[Line]:
        crashed = not self.let_go
        found = [self.crash(record.epoch - 1)] if crashed else []
        self.owner, self.let_go = event.owner, False
        verb = "recovered by" if crashed else "by" if record.epoch == 1 else "continued by"
        replayed = f"; {len(self.finished)} finished steps are replayed, not run" if self.finished else ""
        return [*found, Line(record.seq, record.epoch, "claimed", "", f"{verb} {who(self.owner)}{replayed}")]

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
    """The step's key with its long ids cut short: whole, they are in ``--json``."""
    return _LONG_ID.sub(lambda found: found.group(1), record.step_key or event.about or "")


class _Words(str):
    """Words of ours about a value, which stand without quotes."""

    __slots__ = ()


def _gist(value: Any) -> Any:
    """What a message says, instead of all that it is; other values as they are."""
    if isinstance(value, list):
        return _gist(value[0]) if len(value) == 1 else [_gist(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = value.get("message", value.get("messages"))
    if inner is not None and "$type" not in value:
        return _gist(inner)
    if "content" in value and "$type" in value:
        calls = [call.get("name") for call in value.get("tool_calls") or () if isinstance(call, dict)]
        return _Words(f"calls {', '.join(map(str, calls))}") if calls else _unwrapped(value["content"])
    return value


def _unwrapped(content: Any) -> Any:
    """The data in a message's text, where it is JSON: to be shown once, not as a text in a text."""
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
    name, how = event.name or "", ""
    if isinstance(event, StepDone):
        if event.result_lost is not None:
            return f"{name} is done, its result is lost: {event.result_lost}"
        how = " (reconciled)" if event.reconciled else f" (said {event.by})" if event.by else ""
    gist = _gist(record.value())
    return f"{name}{how} -> {gist if isinstance(gist, _Words) else short(gist, 60)}"


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
    why += "".join(f", handed to {one['to']} by {one['by']}" for one in event.delegations or ())
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
