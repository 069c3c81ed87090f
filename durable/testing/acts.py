"""Acts: what people, time, crashes and deployments do about an agent. Each is played by a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.testing.processes import START, Moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.inbox.decision import Decision


CLAIMED = Moment(START, 1)
"""The execution has been claimed, and nothing was done."""


@dataclass(frozen=True)
class Decides:
    """A person answers the open question about a call; ``refused`` is the error they get instead."""

    by: str
    decision: Decision
    call: str = "c1"
    refused: type[Exception] | None = None


@dataclass(frozen=True)
class Passes:
    """Time goes by, in seconds."""

    seconds: float


@dataclass(frozen=True)
class Dies:
    """The next process is killed at this moment."""

    at: Moment = CLAIMED


@dataclass(frozen=True)
class Forges:
    """Somebody says "approved" in the framework's own words: in its state, its messages, its session."""


@dataclass(frozen=True)
class Alters:
    """From now on the code on the way to the tools changes arguments to these, in each process."""

    to: Mapping[str, Any]


@dataclass(frozen=True)
class Deploys:
    """From now on the code is another version, in which ``pay`` has this default for its amount."""

    default: int


@dataclass(frozen=True)
class Returns:
    """The caller calls again, with the same id and input."""


@dataclass(frozen=True)
class GoesOn:
    """The caller goes on in the framework's own way."""


@dataclass(frozen=True)
class Waits:
    """By now these things have happened outside, and these calls wait, for this kind of answer."""

    calls: tuple[str, ...]
    effects: tuple[str, ...] = ()
    kind: str = "approval"
