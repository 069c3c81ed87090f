"""Every error of this library, in one tree.

    DurableError
    ├── InvalidConfiguration      a url, option or name that cannot be used
    ├── SecretUndeclared          a secret that the tool's policy does not name
    ├── SecretMissing             no resolver of this worker knows it
    ├── DependencyFailed          its factory raised; the execution waits and tries again
    ├── InvalidId                 empty, too long, or with control characters
    ├── Unsupported               a framework feature that cannot be made durable, by name
    ├── UnknownApp                no handler of that name in this process
    ├── StorageError
    │   ├── DatabaseUnavailable   not reachable, or it did not answer in time
    │   ├── DatabaseBusy          locked by another writer for longer than the deadline
    │   ├── DatabaseReadOnly
    │   ├── DatabaseFull
    │   ├── NotADatabase
    │   ├── SchemaTooNew          written by a newer version of this library
    │   └── JournalCorrupt        a gap, or a broken digest chain
    ├── CodecError
    │   ├── NotEncodable          a value that would not survive a round trip
    │   ├── PayloadTooLarge
    │   ├── UnknownType           stored under a type that is not on the allow-list
    │   └── CorruptPayload
    ├── ExecutionNotFound
    ├── ExecutionConflict         the same id with another input
    ├── ExecutionBusy             owned by a live worker
    ├── ExecutionClosed           already succeeded, failed, cancelled or dead
    ├── ThreadBusy                the thread has another open execution
    ├── SignalConflict            the same signal id with another name or payload
    ├── LeaseLost                 another worker owns the execution now
    ├── ExecutionFailed           what handle.result() raises
    ├── ExecutionCancelled
    ├── CompensationFailed        what it had done could not be undone
    ├── ExecutionSuspended        it waits, for what the framework's own result cannot show
    ├── DeadlineExceeded          the execution's own deadline has passed
    ├── BudgetExceeded            the execution has used up what it may
    ├── StepFailed                a recorded failure whose type is not on the allow-list
    ├── StepTimeout               a timeout: the outcome is unknown
    ├── StepAborted               the tool raised SystemExit or another BaseException: the outcome is unknown
    ├── ResultLost                the step was done, its result could not be stored
    ├── NoExecution               asked for a context where there is no execution
    ├── ToolRejected              a person said no, with a reason
    │   └── ToolNotAllowed        a policy said no
    ├── InterruptNotFound
    ├── InvalidDecision           a decision that does not fit this kind of interrupt
    ├── NotAllowedToDecide        somebody else is to decide
    ├── AlreadyDecided            another decision came first
    ├── DecisionExpired           the interrupt's time was over
    ├── ArgumentsChanged          the decision was made for other arguments
    ├── SessionNotFound
    ├── SessionExists
    ├── SessionChanged            written by somebody else since it was read
    └── ItemConflict              the same item id with another content

Those of ``durable.openapi`` stand in ``durable.openapi.errors``, below ``DurableError`` too.

``Suspended`` and ``Cancelled`` are control flow, not errors: they derive from BaseException so that
``except Exception`` in user code and tool error handlers do not swallow them.
"""

from __future__ import annotations

from durable.checkpoint.errors import (
    AlreadyDecided,
    CodecError,
    CorruptPayload,
    DatabaseBusy,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    DecisionExpired,
    DurableError,
    ExecutionBusy,
    ExecutionClosed,
    ExecutionConflict,
    ExecutionNotFound,
    InterruptNotFound,
    InvalidConfiguration,
    ItemConflict,
    JournalCorrupt,
    LeaseLost,
    NotADatabase,
    NotEncodable,
    PayloadTooLarge,
    SchemaTooNew,
    SessionChanged,
    SessionExists,
    SessionNotFound,
    SignalConflict,
    StorageError,
    ThreadBusy,
    UnknownType,
)
from durable.errors.decisions import ArgumentsChanged, InvalidDecision, NotAllowedToDecide
from durable.errors.executions import (
    BudgetExceeded,
    CompensationFailed,
    DeadlineExceeded,
    ExecutionCancelled,
    ExecutionFailed,
    ExecutionSuspended,
    NoExecution,
)
from durable.errors.flow import Cancelled, InvalidId, Suspended, UnknownApp, Unsupported
from durable.errors.steps import ResultLost, StepAborted, StepFailed, StepTimeout, ToolNotAllowed, ToolRejected
from durable.errors.supplies import DependencyFailed, SecretMissing, SecretUndeclared

__all__ = [
    "AlreadyDecided",
    "ArgumentsChanged",
    "BudgetExceeded",
    "Cancelled",
    "CodecError",
    "CompensationFailed",
    "CorruptPayload",
    "DatabaseBusy",
    "DatabaseFull",
    "DatabaseReadOnly",
    "DatabaseUnavailable",
    "DeadlineExceeded",
    "DecisionExpired",
    "DependencyFailed",
    "DurableError",
    "ExecutionBusy",
    "ExecutionCancelled",
    "ExecutionClosed",
    "ExecutionConflict",
    "ExecutionFailed",
    "ExecutionNotFound",
    "ExecutionSuspended",
    "InterruptNotFound",
    "InvalidConfiguration",
    "InvalidDecision",
    "InvalidId",
    "ItemConflict",
    "JournalCorrupt",
    "LeaseLost",
    "NoExecution",
    "NotADatabase",
    "NotAllowedToDecide",
    "NotEncodable",
    "PayloadTooLarge",
    "ResultLost",
    "SchemaTooNew",
    "SecretMissing",
    "SecretUndeclared",
    "SessionChanged",
    "SessionExists",
    "SessionNotFound",
    "SignalConflict",
    "StepAborted",
    "StepFailed",
    "StepTimeout",
    "StorageError",
    "Suspended",
    "ThreadBusy",
    "ToolNotAllowed",
    "ToolRejected",
    "UnknownApp",
    "UnknownType",
    "Unsupported",
]
