"""Crossing: how an error of this library passes through code of others that handles errors.

Frameworks tell a model what a tool raised ("please try again"), run a node again, ask a callback. That is right for an
error of the tool. An error that says nothing about the tool (a locked database, a lost lease, a refusal, a result that
cannot be stored) would be swallowed there, and an effect that has happened would be repeated. So it crosses as a
BaseException, which no such handler takes, and becomes itself again where the execution is closed. Whoever swallows
even that changes nothing: no further step starts, and the execution ends with the error.

What a step came to, its own error or a refusal that is on record, is for the framework and stays as it is.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from durable.errors import DurableError, LeaseLost, ResultLost
from durable.record import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durable.live.segment import Segment


class Crossing(BaseException):
    """This execution has stopped with ``error``; let go of it."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(f"{type(error).__qualname__}: {error}")


def is_ours(error: DurableError) -> bool:
    """Return True if no step came to this error, and for a result that is lost."""
    return isinstance(error, ResultLost) or not failure.is_outcome(error)


@contextmanager
def crossing(segment: Segment) -> Iterator[None]:
    """Let an error of this library leave the block as Crossing, unless it is on record as what a step came to."""
    try:
        yield
    except DurableError as error:
        if not is_ours(error):
            raise
        if isinstance(error, LeaseLost):
            segment.overtaken = error
        else:
            segment.stop(error)
        raise Crossing(error) from error


def uncrossed(error: BaseException | None) -> BaseException | None:
    """Return the error that crosses, or the error itself if it is none that does."""
    return error.error if isinstance(error, Crossing) else error
