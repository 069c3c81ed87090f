"""Events: what a record of the journal can say, each a frozen type with its fields.

This is the format on disk. Records are written with ``event.pack(...)`` and read with ``unpack``; nobody else names a
field of a record. A version may add an event or a field with a default; it reads all that an older one has written.
"""

from __future__ import annotations

from durable.record.events.base import ABSENT, Absent, Described, Event, journaled
from durable.record.events.checkpoints import Checkpoint, GraphCheckpoint, SessionEvent, TaskWrites
from durable.record.events.executions import Cancelled, Claimed, Failed, PlannedEnding, Started, Succeeded
from durable.record.events.interrupts import InterruptClosed, InterruptOpened
from durable.record.events.notes import (
    Abandoned,
    CircuitOpen,
    CircuitOpened,
    Compensating,
    CompensatingAlready,
    DependencyFailed,
    Escalated,
    Forked,
    GoesBack,
    InputDiffers,
    Interrupted,
    LetGo,
    MustWait,
    Note,
    OtherNote,
    OutcomeUnknown,
    RateLimited,
    Reconciled,
    Released,
    Repeated,
    Suspended,
    WentBack,
)
from durable.record.events.reading import unpack, unpack_if
from durable.record.events.steps import (
    Attempted,
    Called,
    Signal,
    StepDone,
    StepFailed,
    StepRetry,
    StepStarted,
    Timer,
)
from durable.record.events.trace import Trace, trace_of

__all__ = [
    "ABSENT",
    "Abandoned",
    "Absent",
    "Attempted",
    "Called",
    "Cancelled",
    "Checkpoint",
    "CircuitOpen",
    "CircuitOpened",
    "Claimed",
    "Compensating",
    "CompensatingAlready",
    "DependencyFailed",
    "Described",
    "Escalated",
    "Event",
    "Failed",
    "Forked",
    "GoesBack",
    "GraphCheckpoint",
    "InputDiffers",
    "InterruptClosed",
    "InterruptOpened",
    "Interrupted",
    "LetGo",
    "MustWait",
    "Note",
    "OtherNote",
    "OutcomeUnknown",
    "PlannedEnding",
    "RateLimited",
    "Reconciled",
    "Released",
    "Repeated",
    "SessionEvent",
    "Signal",
    "Started",
    "StepDone",
    "StepFailed",
    "StepRetry",
    "StepStarted",
    "Succeeded",
    "Suspended",
    "TaskWrites",
    "Timer",
    "Trace",
    "WentBack",
    "journaled",
    "trace_of",
    "unpack",
    "unpack_if",
]
