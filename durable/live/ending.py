"""Endings: why a segment ends, as a table in order of precedence. ``durable.run.close`` writes down each.

Whatever its code returned or raised, the first line that is true of a segment is how it ends.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from durable.errors import Cancelled, LeaseLost, StorageError, Suspended
from durable.live.crossing import uncrossed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from durable.live.segment import Segment

GIVEN_BACK = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
"""This process stops, which says nothing about the execution."""


class Ending(Enum):
    """Why a segment ends."""

    DEAD = auto()
    """Workers have crashed on it too often in a row."""
    UNDOING = auto()
    """What it has done is being undone, and nothing else is done any more."""
    OVERTAKEN = auto()
    """Another process is, or may be, its owner."""
    DRAINED = auto()
    """This worker stops, and another one goes on at once."""
    WAITING = auto()
    """It waits for an answer, a signal or a time."""
    WAITING_FOR_NOTHING = auto()
    """It says that it waits, and nothing was asked or slept on: it fails."""
    CANCELLED = auto()
    ABANDONED = auto()
    """Its caller went away; nobody goes on with it until somebody asks for it."""
    GIVEN_BACK = auto()
    """This process was told to stop."""
    CUT_OFF = auto()
    """The database could not be written, so nobody knows what is on record."""
    SUCCEEDED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Left:
    """What is so of a segment whose code was left, with this error or none."""

    error: BaseException | None
    is_poisoned: bool = False
    is_undone: bool = False
    is_draining: bool = False
    is_abandoned: bool = False
    waits: bool = False

    @property
    def pauses(self) -> bool:
        """True if the code was left because something is waited for."""
        return isinstance(self.error, Suspended) or (self.error is None and self.waits)


PRECEDENCE: tuple[tuple[Ending, Callable[[Left], bool]], ...] = (
    (Ending.DEAD, lambda left: left.error is None and left.is_poisoned),
    (Ending.UNDOING, lambda left: left.is_undone),
    (Ending.OVERTAKEN, lambda left: isinstance(left.error, LeaseLost)),
    (Ending.DRAINED, lambda left: left.pauses and left.is_draining),
    (Ending.WAITING, lambda left: left.pauses and (left.waits or left.is_abandoned)),
    (Ending.WAITING_FOR_NOTHING, lambda left: left.pauses),
    (Ending.CANCELLED, lambda left: isinstance(left.error, Cancelled)),
    (Ending.ABANDONED, lambda left: left.is_abandoned),
    (Ending.GIVEN_BACK, lambda left: isinstance(left.error, GIVEN_BACK)),
    (Ending.CUT_OFF, lambda left: isinstance(left.error, StorageError)),
    (Ending.SUCCEEDED, lambda left: left.error is None),
    (Ending.FAILED, lambda _: True),
)


def ending_of(left: Left) -> Ending:
    """Return why the segment ends: the first line of the table that is true of it."""
    return next(ending for ending, is_so in PRECEDENCE if is_so(left))


def is_poisoned(segment: Segment) -> bool:
    """True if its workers crashed too often in a row."""
    return segment.execution.attempts > segment.runtime.max_attempts


def left_with(segment: Segment, error: BaseException | None) -> Left:
    """Return what is so of a segment that was left with this error."""
    return Left(
        error,
        is_poisoned=is_poisoned(segment),
        is_undone=segment.replay.ending is not None and segment.compensates is None,
        is_draining=segment.draining,
        is_abandoned=segment.abandoned,
        waits=segment.waits,
    )


def error_that_counts(segment: Segment, error: BaseException | None) -> BaseException | None:
    """Return the error with which a segment ends, whatever its code, or its framework, made of it on the way."""
    if segment.overtaken is not None:
        return segment.overtaken
    error = meant_by(error)
    comes_first = (LeaseLost, StorageError, Cancelled, *GIVEN_BACK)
    return error if segment.stopped is None or isinstance(error, comes_first) else segment.stopped


def meant_by(error: BaseException | None) -> BaseException | None:
    """Return what a group of exceptions (of asyncio.TaskGroup) says of the execution; another one says it itself."""
    if not isinstance(error, BaseExceptionGroup):
        return uncrossed(error)
    leaves = list(_leaves(error))
    for kind in (LeaseLost, StorageError, Cancelled):
        first = next((leaf for leaf in leaves if isinstance(leaf, kind)), None)
        if first is not None:
            return first
    failed = [leaf for leaf in leaves if not isinstance(leaf, (Suspended, asyncio.CancelledError))]
    if failed:
        return failed[0] if len(failed) == 1 else error
    return next((leaf for leaf in leaves if isinstance(leaf, Suspended)), error)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield uncrossed(error) or error
