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

Those of ``durable.openapi`` stand in ``api_errors``.

``Suspended`` and ``Cancelled`` are control flow, not errors: they derive from BaseException so that
``except Exception`` in user code and tool error handlers do not swallow them.
"""

from __future__ import annotations


class DurableError(Exception):
    """Something in durable went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class InvalidConfiguration(DurableError):
    """The configuration cannot be used."""


class SecretUndeclared(DurableError, KeyError):
    """A secret that the tool's policy does not name."""

    __str__ = DurableError.__str__  # a KeyError's would put the message into quotes

    def __init__(self, name: str) -> None:
        super().__init__(
            f"secret {name!r} is not declared; add it to secrets=(...) of the tool's policy, or to "
            "credentials=[...] of api_tools"
        )


class SecretMissing(DurableError, KeyError):
    """No resolver of this worker knows the secret."""

    __str__ = DurableError.__str__

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"secret {name!r} cannot be had: {reason}; set it in the worker's environment or in Runtime(secrets=...)"
        )


class DependencyFailed(DurableError):
    """The factory of a dependency raised; no step has started, the execution waits and tries again."""

    def __init__(self, name: str, error: BaseException) -> None:
        self.name = name
        super().__init__(
            f"dependency {name!r} could not be made: {type(error).__qualname__}: {error}; no step was started, what "
            "needs it waits and tries again"
        )


class InvalidId(DurableError):
    """The id is empty, longer than 255 characters or contains control characters."""


class Unsupported(DurableError):
    """This feature cannot be made durable."""


class UnknownApp(DurableError):
    """No app of this name is registered in this process."""

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        listed = ", ".join(sorted(known)) or "none"
        super().__init__(
            f"no app named {name!r} is registered with this runtime (registered: {listed}); "
            "import the module that wraps it before starting, resuming or running a worker"
        )


class StorageError(DurableError):
    """The database could not do what was asked."""


class DatabaseUnavailable(StorageError):
    """The database is not reachable, or did not answer within the deadline."""


class DatabaseBusy(StorageError):
    """Another writer held the database for longer than the deadline; try again."""


class DatabaseReadOnly(StorageError):
    """The database cannot be written; check the permissions of the file and of its folder."""


class DatabaseFull(StorageError):
    """No space left for the database; free some and retry, nothing recorded was lost."""


class NotADatabase(StorageError):
    """The file is not a database; point the url at another file."""


class SchemaTooNew(StorageError):
    """The schema was written by a newer version of durable-adapters; upgrade this process."""


class JournalCorrupt(StorageError):
    """The journal has a gap or its digest chain is broken."""


class CodecError(DurableError):
    """A value cannot be stored or read back."""


class NotEncodable(CodecError):
    """A value that would not survive a round trip through storage."""

    def __init__(self, path: str, type_name: str, remedy: str = "") -> None:
        self.path = path
        self.type_name = type_name
        super().__init__(
            f"{path} cannot be stored: {type_name}; "
            + (remedy or "return plain data, or name the type in Runtime(types=[...])")
        )


class PayloadTooLarge(CodecError):
    """A value larger than the hard limit."""

    def __init__(self, size: int, limit: int, what: str = "payload") -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            f"{what} is {size} bytes, the limit is {limit}; store it elsewhere (a file, an object store) "
            "and keep a reference"
        )


class UnknownType(CodecError):
    """A stored value names a type that is not on the allow-list."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        super().__init__(
            f"stored value has type {type_name}, which is not on the allow-list; "
            "name it in Runtime(types=[...]) if it is yours"
        )


class CorruptPayload(CodecError):
    """Stored bytes that this version cannot read."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"stored payload cannot be read: {reason}")


class ExecutionNotFound(DurableError):
    """No execution has this id in this namespace."""

    def __init__(self, execution_id: str, namespace: str) -> None:
        super().__init__(f"no execution {execution_id!r} in namespace {namespace!r}; `durable list` shows them")


class ExecutionConflict(DurableError):
    """The id is taken by an execution with another input, app, thread or namespace."""

    def __init__(self, execution_id: str, what: str) -> None:
        super().__init__(
            f"execution {execution_id!r} exists with another {what}; use a new id, or the same {what} to resume it"
        )


class ExecutionBusy(DurableError):
    """Another live worker owns the execution."""

    def __init__(self, execution_id: str, owner: str, seconds: float) -> None:
        super().__init__(
            f"execution {execution_id!r} is owned by {owner} for another {seconds:.1f} s; "
            "wait for it with runtime.get(id).result(), or retry when its lease has expired"
        )


class ExecutionClosed(DurableError):
    """The execution has ended; nothing can be changed in it."""

    def __init__(self, execution_id: str, status: str, what: str) -> None:
        super().__init__(f"cannot {what} execution {execution_id!r}: it is {status}")


class ThreadBusy(DurableError):
    """At most one execution per thread may be open."""

    def __init__(self, thread: str, execution_id: str, status: str) -> None:
        self.execution_id = execution_id
        super().__init__(
            f"thread {thread!r} has the open execution {execution_id!r} ({status}); resume it (the same input or "
            "None, or runtime.recover()), wait for it, or cancel it before new input"
        )


class SignalConflict(DurableError):
    """The id is taken by a signal with another name or payload."""

    def __init__(self, execution_id: str, sent_as: str) -> None:
        super().__init__(
            f"signal {sent_as!r} was sent to execution {execution_id!r} before with another name or payload; "
            "give each signal an id of its own"
        )


class LeaseLost(DurableError):
    """Another worker owns the execution now; nothing was written."""

    def __init__(self, execution_id: str, epoch: int) -> None:
        super().__init__(
            f"execution {execution_id!r} was claimed by another worker after epoch {epoch}; nothing was written, "
            "the new owner goes on"
        )


class ExecutionFailed(DurableError):
    """The execution ended with an error."""

    def __init__(self, execution_id: str, status: str, error_type: str, message: str) -> None:
        self.execution_id = execution_id
        self.error_type = error_type
        super().__init__(
            f"execution {execution_id!r} {status}: {error_type}: {message}; "
            "`durable history` shows where, `durable retry` continues it from its last finished step"
        )


class ExecutionCancelled(DurableError):
    """The execution was cancelled."""

    def __init__(self, execution_id: str, reason: str) -> None:
        self.execution_id = execution_id
        super().__init__(f"execution {execution_id!r} was cancelled: {reason}")


class CompensationFailed(DurableError):
    """A call could not be undone; what was to be undone after it was not touched."""

    def __init__(self, tool: str, why: str, rest: list[str]) -> None:
        self.tool = tool
        self.rest = rest
        untouched = f"not undone either: {', '.join(rest)}" if rest else "it was the last one"
        super().__init__(
            f"{tool} could not be compensated: {why}; {untouched}; `durable history` shows what was undone, "
            "`durable retry` tries this one again and goes on"
        )


class ExecutionSuspended(DurableError):
    """The execution waits for a decision, a signal or a time."""

    def __init__(self, execution_id: str, interrupts: list[str]) -> None:
        self.execution_id = execution_id
        self.interrupts = interrupts
        asked = f"decide {', '.join(sorted(interrupts))}" if interrupts else "nothing is to be decided"
        super().__init__(
            f"execution {execution_id!r} waits and holds nothing meanwhile ({asked}; `durable show` tells what for); "
            "then call again with this execution id, or let a worker go on"
        )


class DeadlineExceeded(DurableError):
    """The execution's deadline has passed; no further step was started."""


class BudgetExceeded(DurableError):
    """The execution has used up its budget; no further step was started."""

    def __init__(self, execution_id: str, spent: str, why: str = "raise the budget, then `durable retry`") -> None:
        super().__init__(f"execution {execution_id!r} has used up its budget ({spent}): {why}")


class StepFailed(DurableError):
    """A step failed in an earlier attempt; its recorded error is replayed."""

    def __init__(self, step_key: str, error_type: str, message: str) -> None:
        self.step_key = step_key
        self.error_type = error_type
        super().__init__(f"{error_type}: {message}")


class StepTimeout(DurableError):
    """A step did not end within its timeout; what it did outside is unknown."""

    def __init__(self, step_key: str, seconds: float) -> None:
        self.step_key = step_key
        super().__init__(f"step {step_key} did not end within {seconds} s; its outcome is unknown")


class StepAborted(DurableError):
    """A step ended with SystemExit or another BaseException; what it did outside is unknown."""

    def __init__(self, step_key: str, raised: str) -> None:
        self.step_key = step_key
        super().__init__(
            f"step {step_key} raised {raised}, which is meant to end the process, not a step; raise an Exception "
            "instead. Its outcome is unknown"
        )


class NoExecution(DurableError):
    """There is no durable execution here; call this from inside a tool, a step or a durable function."""


class ResultLost(DurableError):
    """The step was done, but its result could not be stored; it is not run again."""

    def __init__(self, step_key: str, reason: str) -> None:
        self.step_key = step_key
        super().__init__(f"step {step_key} was done, but its result is lost: {reason}")


class ToolRejected(DurableError):
    """A person rejected the call."""

    def __init__(self, tool: str, reason: str) -> None:
        self.tool = tool
        self.reason = reason
        super().__init__(f"{tool} was rejected: {reason}")


class ToolNotAllowed(ToolRejected):
    """A policy does not allow the call; it did not run."""

    def __init__(self, tool: str, reason: str) -> None:
        super().__init__(tool, reason)
        self.args = (f"{tool} is not allowed: {reason}",)


class InterruptNotFound(DurableError):
    """No such interrupt in this namespace."""

    def __init__(self, interrupt_id: str) -> None:
        super().__init__(f"no interrupt {interrupt_id!r}; `durable approvals list` shows the open ones")


class InvalidDecision(DurableError):
    """The decision does not fit the interrupt."""


class NotAllowedToDecide(DurableError):
    """Somebody else is to decide this."""

    def __init__(self, interrupt_id: str, by: str, why: str) -> None:
        super().__init__(f"{by!r} may not decide interrupt {interrupt_id!r}: {why}")


class AlreadyDecided(DurableError):
    """Another decision came first; the first one counts."""

    def __init__(self, interrupt_id: str, status: str, by: str | None) -> None:
        super().__init__(f"interrupt {interrupt_id!r} is already {status}" + (f" by {by}" if by else ""))


class DecisionExpired(DurableError):
    """The interrupt's time to be decided was over."""

    def __init__(self, interrupt_id: str) -> None:
        super().__init__(f"interrupt {interrupt_id!r} expired before this decision; the execution went on without it")


class ArgumentsChanged(DurableError):
    """The call does not have the arguments that were decided upon."""


class SessionNotFound(DurableError):
    """No session has this id."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no session {session_id!r}; create it first, it may have been deleted meanwhile")


class SessionExists(DurableError):
    """A session has this id already."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id!r} exists already; read it, or create one with another id")


class SessionChanged(DurableError):
    """Somebody else has written to the session since it was read; nothing was written."""

    def __init__(self, session_id: str, expected: int, found: int) -> None:
        super().__init__(
            f"session {session_id!r} is at revision {found}, it was read at {expected}: read it again, then write"
        )


class ItemConflict(DurableError):
    """An item with the same id and another content is in the session; nothing was written."""

    def __init__(self, session_id: str, item_id: str) -> None:
        super().__init__(f"session {session_id!r} has another item {item_id!r}; give the new one an id of its own")


class Suspended(BaseException):
    """The execution waits for an answer, a signal or a time; this process is to let go of it."""


class Cancelled(BaseException):
    """The execution was cancelled; unwind."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
