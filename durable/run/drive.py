"""Drive an execution: run its app to the end or until it waits."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from durable.errors import (
    Suspended,
)
from durable.live.ending import is_poisoned, meant_by
from durable.live.scope import root, within
from durable.run.close import close
from durable.run.open import refused
from durable.step.attempt import on_own_loop

if TYPE_CHECKING:
    from durable.live.segment import Segment
    from durable.run.app import App


QUIET = 10
"""Rounds of the event loop without a step on its way, after which no branch is expected to go on by itself."""


def drive(app: App, segment: Segment) -> BaseException | None:
    """Run the app to its end or until it waits, and close the segment. Returns what it raised, if anything."""
    runtime = segment.runtime
    with runtime.telemetry.segment(segment):
        output, error = None, refused(segment)
        if error is None and not is_poisoned(segment) and segment.replay.ending is None:
            try:
                with within(root(segment)):
                    output = app.run(segment)
                    if inspect.isawaitable(output):
                        output = on_own_loop(_awaited(output, segment))
            except BaseException as exc:  # noqa: BLE001 - close() sorts it out
                error = exc
        return close(segment, output, error)


async def _awaited(output: Any, segment: Segment) -> Any:
    on_journal_thread = segment.runtime.database.on_journal_thread
    try:
        with within(root(segment)):  # again: this task is the scope's own, those it starts are branches
            return await output
    except BaseException as exc:
        quiet = 0 if isinstance(meant_by(exc), Suspended) else QUIET
        while quiet < QUIET:  # branches beside the one that waits go on as far as they can
            quiet = 0 if segment.busy else quiet + 1
            await (on_journal_thread(segment.quiet) if segment.busy else asyncio.sleep(0))
        raise
    finally:
        # those that go on even so may be in the middle of an effect: let them record its outcome
        await on_journal_thread(segment.drain)
