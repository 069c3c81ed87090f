"""Verdicts: what a gate says of a call. It writes and raises nothing; ``begin`` acts on what it returns.

``Pass``: the next gate is asked. ``Finished``: the call has an outcome. ``Wait``: it cannot go on now. ``Stop``: it,
and its execution, go on no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from durable.inbox.batch import NOTHING, Batch

if TYPE_CHECKING:
    from durable.checkpoint.pace.circuits import Circuit
    from durable.checkpoint.records import Interrupt


@dataclass(frozen=True, slots=True)
class Start:
    """A decision by which the attempt starts: it is used up in the commit that announces the attempt, not before."""

    batch: Batch
    arguments: Any


@dataclass(frozen=True, slots=True)
class Pass:
    """Go on. ``batch`` is to be written whatever the other gates say; ``start`` only if the attempt starts."""

    batch: Batch = NOTHING
    start: Start | None = None
    circuit: Circuit | None = None


PASS = Pass()


@dataclass(frozen=True, slots=True)
class Finished:
    """The call has an outcome; ``replayed`` if it was on record already."""

    batch: Batch = NOTHING
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on later: at an instant, or when an open interrupt is decided. What ``batch`` asks is waited for, too.

    ``in_process``: the caller itself may wait, if it is not for long.
    """

    batch: Batch = NOTHING
    at: float | None = None
    interrupt: Interrupt | None = None
    in_process: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Raise this. An Exception fails the execution, whatever its code makes of it."""

    error: BaseException
    batch: Batch = NOTHING


Verdict = Pass | Finished | Wait | Stop


def after(passed: Pass, verdict: Verdict) -> Verdict:
    """Return a verdict together with what was passed before it; a start counts only if all is passed."""
    if isinstance(verdict, Pass):
        return Pass(passed.batch + verdict.batch, verdict.start or passed.start, verdict.circuit or passed.circuit)
    return replace(verdict, batch=passed.batch + verdict.batch)
