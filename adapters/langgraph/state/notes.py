"""Notes of the saver: what somebody has done to the stored checkpoints of the thread while an execution ran on it."""

from __future__ import annotations

from typing import ClassVar

from durable.record.events import Note, journaled


@journaled
class ThreadForgotten(Note):
    """All checkpoints of the thread were deleted."""

    VARIANT: ClassVar[str] = "checkpoints_forget"


@journaled
class RunsForgotten(Note):
    """Notes that the checkpoints of some runs of the thread were deleted."""

    VARIANT: ClassVar[str] = "checkpoints_forget_runs"


@journaled
class ThreadCopied(Note):
    """Notes that the checkpoints of another thread were copied to this one."""

    VARIANT: ClassVar[str] = "checkpoints_copy"


@journaled
class ThreadPruned(Note):
    """All checkpoints of the thread were deleted but the newest of each namespace."""

    VARIANT: ClassVar[str] = "checkpoints_prune"


@journaled
class ThreadThinned(Note):
    """Checkpoints in between were deleted at the end of a run, which asked that only its end is kept."""

    VARIANT: ClassVar[str] = "checkpoints_thin"
