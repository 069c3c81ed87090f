"""Progress: the states of one step, and how its records lead from one to the next. One table.

    new      --step_started, timer-->       started
    new      --step_retry-->                retry
    new      --step_done, signal-->         done
    new      --step_failed-->               failed
    started  --step_started-->              started    the next attempt, after a crash or a doubt that was settled
    started  --step_retry-->                retry
    started  --step_done-->                 done
    started  --step_failed-->               failed
    retry    --step_started-->              started
    retry    --step_retry-->                retry
    retry    --step_done-->                 done
    retry    --step_failed-->               failed
    failed   --forgotten-->                 new        what it failed in is tried again; never on record

What is done stays done. A journal does not hold that a failure was forgotten, so a failed step may be followed by any
record of a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Progress = Literal["new", "started", "retry", "done", "failed"]

FORGOTTEN = "forgotten"
"""The failure of a step counts no more."""

_RECORDED: Mapping[str, Progress] = {
    "step_started": "started",
    "step_retry": "retry",
    "step_done": "done",
    "step_failed": "failed",
}

TRANSITIONS: Mapping[tuple[Progress, str], Progress] = {
    ("new", "timer"): "started",
    ("new", "signal"): "done",
    **{("new", kind): progress for kind, progress in _RECORDED.items()},
    **{("started", kind): progress for kind, progress in _RECORDED.items()},
    **{("retry", kind): progress for kind, progress in _RECORDED.items()},
    **{("failed", kind): progress for kind, progress in _RECORDED.items()},
    ("failed", FORGOTTEN): "new",
}


def after(progress: Progress, kind: str) -> Progress | None:
    """Return the state of a step after a record of this kind; None if it has none then: the record changes nothing."""
    return TRANSITIONS.get((progress, kind))
