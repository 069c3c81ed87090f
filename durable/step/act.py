"""Act on a verdict: write what it says, and let go where it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from durable.errors import Suspended
from durable.inbox.batch import commit
from durable.step.verdicts import Stop, Wait

if TYPE_CHECKING:
    from durable.live.segment import Segment
    from durable.step.verdicts import Verdict


def act_on(segment: Segment, verdict: Verdict) -> None:
    """Commit what the verdict writes, and return if the call goes on. Raises Suspended, or what ``Stop`` says."""
    commit(segment, verdict.batch)
    if isinstance(verdict, Wait):
        let_go(segment, verdict)
    if isinstance(verdict, Stop):
        raise segment.stop(verdict.error) if isinstance(verdict.error, Exception) else verdict.error


def let_go(segment: Segment, wait: Wait) -> NoReturn:
    """Wait, holding no process, for what the verdict says. Raises Suspended."""
    if wait.interrupt is not None and not wait.batch.questions:  # else it was read again, with its new deadline
        segment.wait_for(wait.interrupt)
    if wait.at is not None:
        segment.wait_for(at=wait.at)
    raise Suspended
