"""Fork: a new execution that begins with what another one has on record up to a point, and goes on from there itself.

What is on record is answered from it, as after a crash; what runs anew has idempotency keys of its own. The new one
remembers where it came from: an effect that the old one made beyond the point is never made again silently (see
``durable.step.gates.repeated``). The old execution stays as it is.

A framework keeps state of its own by thread; its app says what of that goes with the fork (``App.forked``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.checkpoint import forks
from durable.checkpoint.executions import NewExecution
from durable.declare.ids import checked, new_id
from durable.errors import InvalidConfiguration, Unsupported
from durable.record.events import Forked
from durable.record.prefix import clean_points, nearest
from durable.record.replay import Replay
from durable.run.branch import Branch, Carried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable.checkpoint.records import Execution, Record
    from durable.run.process import Process


def fork(
    runtime: Process,
    execution: Execution,
    records: Sequence[Record],
    *,
    at: int,
    id: str | None = None,  # noqa: A002 - the public name
) -> str:
    """Record the fork of an execution at seq ``at`` and return its id. See ``Handle.fork``."""
    check_point(execution.id, records, at)
    wanted = checked(new_id() if id is None else id, "the execution's id")
    branch = Branch(execution, records[:at], records[at:], wanted)
    carried = _carried(runtime, branch)
    note = Forked(origin=origin_of(execution.id, records, at)).pack()
    new = NewExecution(
        id=wanted,
        namespace=runtime.namespace,
        app=execution.app,
        app_version=execution.app_version,
        input=runtime.codec.encode(carried.input, what="the input"),
        input_digest=runtime.codec.fingerprint(carried.input),
        thread=carried.thread,
        queue=execution.queue,
        priority=execution.priority,
        correlation_id=execution.correlation_id,
        tags=execution.tags,
    )
    db = runtime.database
    db.transact(
        lambda connection: forks.fork(
            db, connection, new, source=execution.id, at=at, note=note, companions=carried.companions
        )
    )
    return wanted


def check_point(execution_id: str, records: Sequence[Record], at: int) -> None:
    """Raise InvalidConfiguration if the records cannot be cut there; it names the nearest points where they can."""
    points = clean_points(records)
    if at in points:
        return
    why = f"it has {len(records)} records" if not 1 <= at <= len(records) else "a step is under way there"
    near = " or ".join(str(point) for point in nearest(points, at))
    msg = f"execution {execution_id!r} cannot be forked at seq {at}: {why}; use at={near}"
    raise InvalidConfiguration(msg)


def origin_of(execution_id: str, records: Sequence[Record], at: int) -> list[list[Any]]:
    """Return the executions that a fork goes back behind, each with the seq up to which it still counts."""
    whole = Replay()
    whole.fold(records)
    return [[execution_id, at], *([of, seq] for of, seq in whole.origins)]


def _carried(runtime: Process, branch: Branch) -> Carried:
    execution = branch.execution
    if execution.app in runtime.apps and (forked := runtime.app(execution.app).forked) is not None:
        return forked(branch)
    if execution.thread is None:
        return Carried(execution.input, None)
    if execution.app in runtime.apps:  # a function: its thread is only a name
        return Carried(execution.input, branch.new_id)
    msg = (
        f"execution {execution.id!r} runs on thread {execution.thread!r}, whose state only its app can fork: do it "
        f"in a process that has {execution.app!r}, or by `durable fork --app MODULE:ATTRIBUTE`"
    )
    raise Unsupported(msg)
