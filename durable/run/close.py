"""Executions from the inside: open a segment, run the app, close it as what came of it says.

Whatever the app did or raised, ``close`` is one append: the last record and the execution's new status in one
transaction. A process that dies before it leaves a lease behind, and another one continues.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from durable.checkpoint import executions
from durable.checkpoint.state import blobs
from durable.declare.effects import effect_of
from durable.declare.retry import is_transient
from durable.errors import Cancelled, CodecError, LeaseLost, Suspended
from durable.live.ending import Ending, ending_of, error_that_counts, left_with
from durable.live.scope import root, within
from durable.record import events, failure
from durable.record.events import Abandoned, Failed, Interrupted, PlannedEnding, Released, Succeeded
from durable.run import compensation, doubts
from durable.secrets.scrubbing import scrubbed
from durable.step.act import act_on
from durable.step.gates import drift

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable.live.segment import Segment
    from durable.record.events import Event
    from durable.record.events.notes import Waits


log = logging.getLogger("durable")


def close(segment: Segment, output: Any, error: BaseException | None) -> BaseException | None:
    """Write down how the segment ended, and let go of the execution.

    Returns the error the caller should see, if any.
    """
    segment.close()
    try:
        error = error_that_counts(segment, error)
        if error is not None:
            error = scrubbed(segment.runtime.secrets.redactor, error)
        error = _WRITTEN[ending_of(left_with(segment, error))](segment, output, error)
    except LeaseLost as lost:
        error = lost
    finally:
        segment.runtime.leases.let_go(segment)
        if segment.compensates is None:  # else it is a part of that one
            segment.runtime.telemetry.ended(segment, "lease_lost" if segment.journal.lost else segment.left_as, error)
    return error


def _dead(segment: Segment, _: Any, __: Any) -> BaseException:
    attempts = segment.execution.attempts - 1
    error = RuntimeError(f"its worker crashed {attempts} times in a row; the last steps are in the history")
    _fail(segment, error, status="dead")
    return error


def _undoing(segment: Segment, _: Any, __: Any) -> BaseException | None:
    return _compensated(segment, compensation.resumed(segment))


def _overtaken(segment: Segment, _: Any, error: BaseException | None) -> BaseException | None:
    if not segment.journal.lost:
        _release(segment, Released())
    return error


def _drained(segment: Segment, _: Any, __: Any) -> None:
    """Let go of what was not let on: it waits for nothing, and another worker goes on with it."""
    _release(segment, Released())


def _waiting(segment: Segment, _: Any, __: Any) -> None:
    _suspend(segment)


def _waiting_for_nothing(segment: Segment, output: Any, _: Any) -> BaseException | None:
    error = RuntimeError("Suspended was raised, but nothing was asked, slept on or waited for")
    return _failed(segment, output, error)


def _cancelled(segment: Segment, _: Any, error: BaseException | None) -> BaseException | None:
    reason = error.reason if isinstance(error, Cancelled) else ""
    undoing = compensation.begin(segment, PlannedEnding(status="cancelled", reason=reason))
    if undoing is not None:
        return _compensated(segment, undoing)
    if doubts.remain(segment):
        _suspend(segment, cancelled=True)
    else:
        _finish_cancelled(segment, events.Cancelled(reason=reason))
    return None


def _abandoned(segment: Segment, _: Any, error: BaseException | None) -> BaseException | None:
    _suspend(segment, Abandoned)
    return error


def _given_back(segment: Segment, _: Any, error: BaseException | None) -> BaseException | None:
    blame = isinstance(error, SystemExit)
    _release(segment, Interrupted() if segment.busy or segment.cut or blame else Released(), blame=blame)
    return error


def _cut_off(segment: Segment, _: Any, error: BaseException | None) -> BaseException | None:
    _release(segment, Interrupted(), blame=True)
    return error


def _succeeded(segment: Segment, output: Any, _: Any) -> BaseException | None:
    try:
        act_on(segment, drift.at_the_end(segment))
        _succeed(segment, output)
    except Suspended:
        _suspend(segment)
    except Cancelled as exc:
        return _cancelled(segment, output, exc)
    except CodecError as exc:
        return _failed(segment, output, exc)
    return None


def _failed(segment: Segment, _: Any, error: BaseException | None) -> BaseException | None:
    assert error is not None  # noqa: S101 - without one it has succeeded
    planned = PlannedEnding(status="failed", error=failure.describe(error), step=failure.origin(error) or None)
    undoing = compensation.begin(segment, planned)
    if undoing is not None:
        return _compensated(segment, undoing) or error
    _fail(segment, error)
    return error


_WRITTEN: Mapping[Ending, Callable[[Segment, Any, BaseException | None], BaseException | None]] = {
    Ending.DEAD: _dead,
    Ending.UNDOING: _undoing,
    Ending.OVERTAKEN: _overtaken,
    Ending.DRAINED: _drained,
    Ending.WAITING: _waiting,
    Ending.WAITING_FOR_NOTHING: _waiting_for_nothing,
    Ending.CANCELLED: _cancelled,
    Ending.ABANDONED: _abandoned,
    Ending.GIVEN_BACK: _given_back,
    Ending.CUT_OFF: _cut_off,
    Ending.SUCCEEDED: _succeeded,
    Ending.FAILED: _failed,
}
"""How each ending is written down, for a segment, its output and its error; returned is what the caller should see."""


def _compensated(segment: Segment, undoing: Segment) -> BaseException | None:
    """Undo what the execution has done, and end it as it was to. Returns what kept it from that, if anything."""
    error: BaseException | None = None
    undone: list[str] = []
    try:
        with within(root(undoing)):
            undone = compensation.run(undoing)
    except BaseException as exc:  # noqa: BLE001 - close() sorts it out
        error = exc
    if error is None:
        undoing.close()
        try:
            _end_as_it_was_to(undoing, undone)
        finally:
            segment.runtime.leases.let_go(undoing)
    else:
        error = close(undoing, None, error)
    segment.left_as = undoing.left_as
    return error


def _end_as_it_was_to(segment: Segment, undone: list[str]) -> None:
    planned = segment.replay.ending
    assert planned is not None  # noqa: S101 - a compensation begins with it
    ending = planned.after_undoing(undone)
    if isinstance(ending, events.Cancelled):
        _finish_cancelled(segment, ending)
    else:
        _finish_failed(segment, ending)


def _finish(segment: Segment, event: Event, *companions: Callable[[Any], object], **values: Any) -> None:
    execution, db = segment.execution, segment.runtime.database

    def finish(connection: Any) -> None:
        executions.finish(connection, execution.id, segment.journal.epoch, finished_at=db.clock(), **values)

    segment.append(event.pack(), companions=[finish, *companions])
    segment.left_as = values["status"]


def _succeed(segment: Segment, output: Any) -> None:
    runtime = segment.runtime
    encoded = runtime.codec.encode(output, what="the output of the execution")
    stored, keep = blobs.stash(runtime.database, encoded)
    _finish(
        segment,
        Succeeded(),
        *([keep] if keep else []),
        status="succeeded",
        output=stored,
        error=None,
    )


def _fail(segment: Segment, error: BaseException, *, status: str = "failed") -> None:
    described = failure.describe(error)
    if _may_be_taken_up(segment, error):
        described["transient"] = True
    failed = Failed(error=described, step=failure.origin(error) or None, status=status)
    _finish_failed(segment, failed)


def _may_be_taken_up(segment: Segment, error: BaseException) -> bool:
    """Return True if the same call may go on later: the error passes, and what raised it may be repeated."""
    step = segment.replay.steps.get(failure.origin(error) or "")
    return is_transient(error) and (step is None or effect_of(step.effect).repeatable)


def _finish_failed(segment: Segment, failed: Failed) -> None:
    _finish(segment, failed, status=failed.status, error=json.dumps(failed.error))


def _finish_cancelled(segment: Segment, cancelled: events.Cancelled) -> None:
    described = json.dumps({"type": "Cancelled", "message": cancelled.reason})
    _finish(segment, cancelled, status="cancelled", error=described)


def _suspend(segment: Segment, event_type: type[Waits] = events.Suspended, *, cancelled: bool = False) -> None:
    now = segment.runtime.database.clock()
    instants = [at for at in (segment.wake_at, segment.execution.deadline_at) if at is not None]
    wake_at = min(instants, default=None)
    note = Interrupted if segment.busy or segment.cut else event_type
    waits = note(interrupts=sorted(segment.waiting), signals=sorted(segment.awaited), until=wake_at)

    def suspend(connection: Any) -> None:
        executions.suspend(
            connection,
            segment.execution.id,
            segment.journal.epoch,
            wake_at=wake_at,
            signals=sorted(segment.awaited),
            seen=segment.decided_before,
            now=now,
            cancelled=cancelled,
        )

    segment.append(waits.pack(), companions=[suspend])
    segment.left_as = "suspended"


def _release(segment: Segment, note: Released | Interrupted, *, blame: bool = False) -> None:
    now = segment.runtime.database.clock()

    def release(connection: Any) -> None:
        executions.release(connection, segment.execution.id, segment.journal.epoch, run_after=now, blameless=not blame)

    segment.append(note.pack(), companions=[release])
    segment.left_as = note.event
