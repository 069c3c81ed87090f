"""Show a journal as people read it: one line a record, and one more for a crash, which left no record."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from durable.cli.render import STYLES, cell, moment, short, table, took

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.table import Table

    from durable.checkpoint.records import Record

_LONG_ID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f-]{27}\b")
_LET_GO = frozenset({"suspended", "released", "abandoned"})
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
        meta = record.meta
        step = _step(record)
        if record.kind == "claimed":
            return self._claimed(record)
        seconds = meta.get("seconds")
        if record.kind == "interrupt_opened":
            self.asked[meta["interrupt"]] = record.at
        elif record.kind == "interrupt_closed" and meta.get("interrupt") in self.asked:
            seconds = record.at - self.asked[meta["interrupt"]]
        self._follow(record)
        return [Line(record.seq, record.epoch, record.kind, step, _said(record), seconds)]

    def crash(self, epoch: int) -> Line:
        """Return the line for an owner that ended without a word."""
        lost = ", ".join(sorted(self.in_flight.values()))
        text = f"{who(self.owner)} did not let go" + (f"; outcome unknown: {lost}" if lost else "")
        return Line(None, epoch, "crash", "", text)

    def _claimed(self, record: Record) -> list[Line]:
        crashed = not self.let_go
        before = [self.crash(record.epoch - 1)] if crashed else []
        self.owner = str(record.meta.get("owner", ""))
        self.let_go = False
        verb = "continued by"
        if crashed:
            verb = "recovered by"
        elif record.epoch == 1:
            verb = "by"
        replayed = f"; {len(self.finished)} finished steps are replayed, not run" if self.finished else ""
        return [*before, Line(record.seq, record.epoch, "claimed", "", f"{verb} {who(self.owner)}{replayed}")]

    def _follow(self, record: Record) -> None:
        key = record.step_key
        if record.kind in {"succeeded", "failed", "cancelled"} or record.meta.get("event") in _LET_GO:
            self.let_go = True
            self.in_flight.clear()
        if key is None:
            return
        if record.kind == "step_started":
            self.in_flight[key] = str(record.meta.get("name", key))
        elif record.kind in {"step_done", "step_failed", "step_retry", "signal"}:
            self.in_flight.pop(key, None)
            if record.kind != "step_retry":
                self.finished.add(key)


def _step(record: Record) -> str:
    """Return the step's key with its long ids cut short. They are whole in ``--json``."""
    key = record.step_key or ("" if record.kind == "checkpoint" else str(record.meta.get("step", "")))
    return _LONG_ID.sub(lambda match: match.group(1), key)


def _checkpoint(record: Record) -> str:
    meta = record.meta
    if "task" in meta:
        return f"writes to {meta.get('channels')}"
    return f"superstep {meta.get('step')} ({meta.get('source')})"


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


def _said(record: Record) -> str:
    say = _SAY.get(record.kind)
    if say is not None:
        return say(record)
    return short(dict(record.meta), 100) if record.meta else ""


def _name(record: Record) -> str:
    return str(record.meta.get("name", ""))


def _failure(meta: Mapping[str, Any]) -> str:
    error = meta.get("error") or {}
    return f"{error.get('type')}: {error.get('message')}" if error else ""


def _started(record: Record) -> str:
    thread = record.meta.get("thread")
    return f"app {record.meta.get('app')}" + (f", thread {thread}" if thread else "")


def _step_started(record: Record) -> str:
    return f"{_name(record)} ({record.meta.get('effect')}), attempt {record.meta.get('attempt')}"


def _step_done(record: Record) -> str:
    meta = record.meta
    name = _name(record)
    if "result_lost" in meta:
        return f"{name} is done, its result is lost: {meta['result_lost']}"
    how = ""
    if meta.get("reconciled"):
        how = " (reconciled)"
    elif meta.get("by"):
        how = f" (said {meta['by']})"
    gist = _gist(record.value())
    return f"{name}{how} -> {gist if isinstance(gist, _Words) else short(gist, 60)}"


def _step_failed(record: Record) -> str:
    meta = record.meta
    if "rejected" in meta:
        return f"{_name(record)} {'not allowed' if meta.get('not_allowed') else 'rejected'}: {meta['rejected']}"
    return f"{_name(record)} failed: {_failure(meta)}"


def _step_retry(record: Record) -> str:
    if record.meta.get("waits_inside"):
        return f"{_name(record)} waits for a call inside of it"
    return f"{_name(record)} failed: {_failure(record.meta)}; again at {moment(record.meta.get('not_before'))}"


def _opened(record: Record) -> str:
    name = f"the budget, {record.meta['budget']}" if "budget" in record.meta else _name(record)
    return f"{record.meta.get('interrupt_kind')} {record.meta.get('interrupt')} asked" + (
        f" for {name}" if name else ""
    )


def _closed(record: Record) -> str:
    meta = record.meta
    why = "".join(f", {key}: {meta[key]}" for key in ("reason", "comment") if meta.get(key))
    why += "".join(
        f", handed to {delegation['to']} by {delegation['by']}" for delegation in meta.get("delegations", ())
    )
    return f"{meta.get('decision')} by {meta.get('by', 'nobody')}{why}"


def _note(record: Record) -> str:
    meta = record.meta
    event = str(record.meta.get("event", ""))
    if event == "suspended":
        waits = [*meta.get("interrupts", ()), *(f"signal {name}" for name in meta.get("signals", ()))]
        if meta.get("until") is not None:
            waits.append(moment(meta["until"]))
        return "waits for " + ", ".join(waits)
    if event == "compensating":
        return f"undoes {', '.join(meta['tools'])}; then {_ending(meta['ending'])}"
    if event == "outcome_unknown":
        return f"outcome unknown: {_failure(meta)}"
    if event in {"rate_limited", "circuit_open"}:
        return f"{event.replace('_', ' ')}: {meta.get('of')}, again at {moment(meta.get('until'))}"
    more = {key: value for key, value in meta.items() if key not in _UNSAID}
    return event.replace("_", " ") + (f" {short(more)}" if more else "")


def _ending(ending: Mapping[str, Any]) -> str:
    return f"{ending['status']}: {ending.get('reason') or _failure(ending)}"


def _undone(record: Record) -> str:
    tools = record.meta.get("compensated")
    return f"; undone: {', '.join(tools)}" if tools else ""


_UNSAID = frozenset({"event", "step", "traceparent", "trace_root"})
_SAY: Mapping[str, Callable[[Record], str]] = {
    "started": _started,
    "checkpoint": _checkpoint,
    "step_started": _step_started,
    "step_done": _step_done,
    "signal": _step_done,
    "step_failed": _step_failed,
    "step_retry": _step_retry,
    "interrupt_opened": _opened,
    "interrupt_closed": _closed,
    "timer": lambda record: f"until {moment(record.meta.get('due_at'))}",
    "note": _note,
    "failed": lambda record: _failure(record.meta) + _undone(record),
    "cancelled": lambda record: str(record.meta.get("reason", "")) + _undone(record),
}
