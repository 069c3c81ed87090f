"""Notes: what the journal says beside steps and questions, each told apart by its ``event``.

An adapter declares notes of its own as further ``Note`` classes. A note that this process does not know, of a newer
version or of an adapter that is not loaded, is read as OtherNote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from durable.checkpoint.records import NewRecord
from durable.record.events.base import ABSENT, Absent, Described, Event, journaled
from durable.record.events.executions import PlannedEnding
from durable.record.events.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from durable.checkpoint.records import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Event):
    """Base of all notes; ``event`` in the record is the ``VARIANT`` of the class."""

    KIND: ClassVar[Kind] = "note"
    VARIANT: ClassVar[str]

    @property
    def event(self) -> str:
        """Return the word in its record that tells it from other notes."""
        return self.VARIANT

    @property
    def about(self) -> str | None:
        """Return the key of the step it speaks of, if it speaks of one."""
        step: str | None = getattr(self, "step", None)
        return step

    def pack(self, step_key: str | None = None, value: bytes | None = None) -> NewRecord:
        """Return the record that says this."""
        return NewRecord(self.KIND, step_key, {"event": self.event, **self.said()}, value)


@dataclass(frozen=True, slots=True)
class OtherNote(Note):
    """Note that this process knows only by the fields of its record."""

    name: str
    more: Mapping[str, Any]

    @property
    def event(self) -> str:
        """Return the word in its record that tells it from other notes."""
        return self.name

    @property
    def about(self) -> str | None:
        """Return the key of the step it speaks of, if its record names one."""
        return self.more.get("step")

    def said(self) -> dict[str, Any]:
        """Return its fields, whatever they mean."""
        return dict(self.more)

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Self:
        """Return the note of a record."""
        carried = {"event", *Trace.NAMES}
        return cls(str(meta.get("event", "")), {name: value for name, value in meta.items() if name not in carried})


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGo(Note):
    """Notes that the owner has let go of the execution in good order: what comes next is no recovery from a crash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits(LetGo):
    """Notes what an execution that was let go waits for."""

    interrupts: Sequence[str]
    """The ids of the interrupts it waits for."""
    signals: Sequence[str]
    """The names of the signals it waits for."""
    until: float | None
    """The instant at which it goes on by itself, or null."""


@journaled
class Suspended(Waits):
    """Notes that the execution waits."""

    VARIANT: ClassVar[str] = "suspended"


@journaled
class Abandoned(Waits):
    """Notes that the caller went away, and that nobody goes on with the execution until somebody asks for it."""

    VARIANT: ClassVar[str] = "abandoned"


@journaled
class Released(LetGo):
    """Notes that the owner stops, and that another process may go on at once."""

    VARIANT: ClassVar[str] = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoesBack(Note):
    """The execution goes back behind others: what they did beyond is not made again silently."""

    origin: Sequence[Sequence[Any]]
    """Executions, each with the seq up to which it still counts."""


@journaled
class WentBack(GoesBack):
    """It begins at an earlier point of its thread."""

    VARIANT: ClassVar[str] = "went_back"


@journaled
class Forked(GoesBack):
    """The records before this one are copies of another execution's; here its own begin."""

    VARIANT: ClassVar[str] = "forked"


@journaled
class Repeated(Note):
    """A call makes an effect once more, as its policy says."""

    VARIANT: ClassVar[str] = "repeated"

    step: str
    """The key of the call."""
    repeats: Sequence[str]
    """The execution and the step whose effect it makes once more."""
    repeated: str
    """What its policy says: again."""


@journaled
class Interrupted(Note):
    """Notes that the owner stopped in the middle of a step, which may be in doubt now."""

    VARIANT: ClassVar[str] = "interrupted"

    interrupts: Sequence[str] | None = None
    """The ids of the interrupts it waits for, where it is suspended."""
    signals: Sequence[str] | None = None
    """The names of the signals it waits for, where it is suspended."""
    until: float | Absent | None = ABSENT
    """The instant at which it goes on by itself, or null, where it is suspended."""


@journaled
class Compensating(Note):
    """Notes that from now on the calls of the execution are undone; the app does not run again."""

    VARIANT: ClassVar[str] = "compensating"

    ending: PlannedEnding
    """How the execution ends then: status, and reason or error and step."""
    tools: Sequence[str]
    """The names of the calls that are to be undone, the first one first."""

    def said(self) -> dict[str, Any]:
        """Return the fields, the ending as plain JSON."""
        return {**Event.said(self), "ending": self.ending.said()}

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Self:
        """Return the note of a record."""
        ending = meta.get("ending")
        read = meta if ending is None else {**meta, "ending": PlannedEnding.from_meta(ending)}
        return super(Compensating, cls).from_meta(read)  # noqa: UP008 - slots make the class anew, super() has the old one


@journaled
class CompensatingAlready(Note):
    """Notes that somebody asked for a compensation that had already begun."""

    VARIANT: ClassVar[str] = "compensating_already"


@journaled
class OutcomeUnknown(Note):
    """Notes that an attempt of a ``once`` call has ended, and that nobody knows what it did."""

    VARIANT: ClassVar[str] = "outcome_unknown"

    step: str
    """The key of the call."""
    error: Described
    """The exception's type and message."""


@journaled
class InputDiffers(Note):
    """Notes that a model call has taken a record whose input was another one."""

    VARIANT: ClassVar[str] = "input_differs"

    recorded: str
    """The fingerprint of the input on record."""
    now: str
    """The fingerprint of the input of this call."""
    step: str
    """The key of the call."""


@journaled
class Reconciled(Note):
    """Notes that the tool's ``reconcile`` has said of a call in doubt that it did not happen."""

    VARIANT: ClassVar[str] = "reconciled"

    step: str
    """The key of the call."""
    happened: bool
    """False: a call that happened has its result on record."""


@journaled
class Escalated(Note):
    """Notes that nobody has decided in time, and that others are asked as well."""

    VARIANT: ClassVar[str] = "escalated"

    interrupt: str
    """The id of the interrupt."""
    to: Sequence[str]
    """The approvers that are asked in addition."""
    step: str
    """The key of the step at which it was asked."""


@journaled
class DependencyFailed(Note):
    """Notes that a dependency could not be made. No step was started; the dependency is tried again."""

    VARIANT: ClassVar[str] = "dependency_failed"

    step: str
    """The key of the call that needs it, or what the key begins with."""
    dependency: str
    """The name of the dependency."""
    error: str
    """What was raised, in words."""
    again_at: float
    """The instant of the next try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MustWait(Note):
    """Notes that an attempt may not start yet."""

    step: str
    """The key of the call."""
    of: str
    """The name of the circuit or rate."""
    until: float
    """The instant at which it is tried again."""


@journaled
class CircuitOpen(MustWait):
    """Notes that an attempt waits because the circuit of its tool is open."""

    VARIANT: ClassVar[str] = "circuit_open"


@journaled
class RateLimited(MustWait):
    """Notes that an attempt waits because of a rate limit."""

    VARIANT: ClassVar[str] = "rate_limited"


@journaled
class CircuitOpened(Note):
    """Notes that the failure of this attempt has opened the circuit of its tool."""

    VARIANT: ClassVar[str] = "circuit_opened"

    step: str
    """The key of the call."""
    of: str
    """The name of the circuit."""
