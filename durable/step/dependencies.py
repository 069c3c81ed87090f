"""Dependencies of a step: they are made before the step is on record, so that their failure leaves no doubt.

A dependency that cannot be made is no failure of the tool: the execution waits, with a note that names it, and is
tried again, later each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.errors import DependencyFailed, Suspended
from durable.record import events
from durable.secrets.scrubbing import scrubbed

if TYPE_CHECKING:
    from durable.step.call import Placed

LONGEST = 60.0
"""Seconds between two tries, at most."""


def prepare(placed: Placed) -> None:
    """Make what a sync tool may ask for. Raises Suspended if that fails."""
    dependencies = placed.segment.runtime.dependencies
    if dependencies.ready or not _needs_them(placed):
        return
    try:
        dependencies.make()
    except DependencyFailed as failed:
        _wait(placed, failed)


async def prepare_async(placed: Placed) -> None:
    """Make what an async tool may ask for, on its event loop. Raises Suspended if that fails."""
    runtime = placed.segment.runtime
    if runtime.dependencies.ready or not _needs_them(placed):
        return
    surely = runtime.database.surely_on_journal_thread
    try:
        await surely(runtime.dependencies.make)
        await runtime.dependencies.ready_here()
    except DependencyFailed as failed:
        await surely(_wait, placed, failed)


def _needs_them(placed: Placed) -> bool:
    """True if the body may run and is code of the user's; a scope leaves them to the steps inside it."""
    is_recorded = placed.match is not None and placed.match.ended
    return placed.call.kind.needs_dependencies and not is_recorded


def _wait(placed: Placed, failed: DependencyFailed) -> None:
    segment = placed.segment
    earlier = sum(events.unpack_if(record, events.DependencyFailed) is not None for record in segment.records)
    again_at = segment.runtime.database.clock() + min(LONGEST, 2.0**earlier)
    note = events.DependencyFailed(
        step=placed.key or placed.call.prefix,
        dependency=failed.name,
        error=str(scrubbed(segment.runtime.secrets.redactor, failed)),
        again_at=again_at,
    )
    segment.append(note.pack())
    segment.wait_for(at=again_at)
    raise Suspended
