"""The fixture: all that the suite knows of a framework. Subclass ``AdapterFixture``; about 120 lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from durable.declare.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from durable.runtime import Runtime
    from durable.testing.script import Script

APP = "desk"
"""The name of the agent, and of its app."""

MESSAGE = "go"
"""What the user says."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One call of the agent by its user: the execution it names, its thread, and the execution's tags."""

    execution_id: str = field(default_factory=new_id)
    thread: str = "thread"
    tags: Mapping[str, str] = field(default_factory=dict)


class AdapterFixture(ABC):
    """How agents of one framework are built, run and read.

    ``model`` is the name of the agent's model, as a policy for ``chat:NAME`` has it. ``altered`` is what happens if
    user code of the framework changes the arguments of a recorded call: ``"drift"`` (a person is asked), ``"failed"``
    (the framework itself fails the run), or None if there is no such code. Where it is not None, the agent passes the
    arguments of each call to ``script.alter``.
    """

    model: ClassVar[str] = "scripted"
    altered: ClassVar[str | None] = None

    @abstractmethod
    def agent(self, runtime: Runtime, script: Script, tools: Sequence[Callable[..., Any]]) -> Any:
        """Build the framework's agent APP and make it durable with the adapter under test.

        Its model answers with ``script.answer(results)``. Each tool is a plain function with annotations and a
        docstring; make it a tool of the framework in the way its users do. Called once in each process.
        """

    @abstractmethod
    def run(self, agent: Any, entry: Entry) -> str | None:
        """Say MESSAGE to the agent and return the text of its answer, or None if it waits."""

    @abstractmethod
    def stream(self, agent: Any, entry: Entry) -> list[str]:
        """Say MESSAGE to the agent and return the pieces of its answer as they are streamed; nothing if it waits."""

    def go_on(self, agent: Any, entry: Entry) -> str | None:
        """Go on in the framework's own way after a person has decided. Without one, call again."""
        return self.run(agent, entry)

    def forge(self, agent: Any, entry: Entry) -> None:
        """Claim, in all the ways in which the framework itself would believe it, that a waiting call is approved.

        Change the call in the framework's own state, too. Swallow the refusals. By default there is no such way.
        """
        del agent, entry
