"""Preparation: what a step needs is made before the step is on record, so that its failure leaves no doubt.

A dependency that cannot be made is no failure of the tool: the execution waits, with a note that names it, and is
tried again, later each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.errors import DependencyFailed, Suspended
from durable.record import events
from durable.record.events import unpack_if
from durable.secrets.scrubbing import scrubbed
from durable.step.begin import place

if TYPE_CHECKING:
    from durable.step.call import StepCall

LONGEST = 60.0
"""Seconds between two tries, at most."""


def prepare(call: StepCall) -> None:
    """Make what a sync tool may ask for. Raises Suspended if that fails."""
    dependencies = call.scope.segment.runtime.dependencies
    if not dependencies.ready and _runs(call):
        try:
            dependencies.make()
        except DependencyFailed as failed:
            _wait(call, failed)


async def prepare_async(call: StepCall) -> None:
    """Make what an async tool may ask for, on its event loop. Raises Suspended if that fails."""
    runtime = call.scope.segment.runtime
    if runtime.dependencies.ready or not _runs(call):
        return
    surely = runtime.database.surely_on_journal_thread
    try:
        await surely(runtime.dependencies.make)
        await runtime.dependencies.ready_here()
    except DependencyFailed as failed:
        await surely(_wait, call, failed)


def _runs(call: StepCall) -> bool:
    """Whether the body may run, and is a tool's or a step's: a node or an agent asks in the steps inside of it."""
    place(call)
    answered = call.outcome is not None and call.outcome.progress in {"done", "failed"}
    return not answered and not call.composite and call.kind not in {"model", "agent", "node", "framework"}


def _wait(call: StepCall, failed: DependencyFailed) -> None:
    segment = call.scope.segment
    before = sum(unpack_if(record, events.DependencyFailed) is not None for record in segment.records)
    again_at = segment.runtime.database.clock() + min(LONGEST, 2.0**before)
    note = events.DependencyFailed(
        step=call.key or call.prefix,
        dependency=failed.name,
        error=str(scrubbed(segment.runtime.secrets.redactor, failed)),
        again_at=again_at,
    )
    segment.append(note.pack())
    segment.wait_for(at=again_at)
    raise Suspended
