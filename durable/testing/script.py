"""Scripts: what the model of an agent under test says, and what it was told. The framework's model only translates.

The model is forgetful: asked again for an answer that it has given before, it gives other arguments. Only an adapter
that takes recorded answers from the journal makes the same calls again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from durable.testing.outside import Outside

WORDS = "all of it is done"
"""The last words of a model."""


class Unreachable(ConnectionError):
    """The provider of the model cannot be reached."""

    def __init__(self) -> None:
        super().__init__("the model cannot be reached")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that the model makes."""

    id: str
    name: str
    arguments: Mapping[str, Any]


PAY = Call("c1", "pay", {"order": "A", "amount": 20})
DEAR = Call("c2", "pay", {"order": "B", "amount": 900})
NOTE = Call("c0", "note", {"text": "hello"})


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model: these calls side by side, or, if there is none, this text."""

    calls: tuple[Call, ...] = ()
    text: str = ""


@dataclass
class Script:
    """The answers of a model: one for each turn, then WORDS.

    ``results`` is what the model was last told of each call, by call id. ``altered`` replaces arguments on their way
    from the model to a tool, by user code. ``failures`` says how often each turn raises Unreachable before its answer.
    """

    outside: Outside
    turns: Sequence[Sequence[Call]]
    results: dict[str, str] = field(default_factory=dict)
    altered: Mapping[str, Any] = field(default_factory=dict)
    failures: dict[int, int] = field(default_factory=dict)

    def answer(self, results: Mapping[str, str]) -> Turn:
        """Return the next turn of a model whose prompt holds these results of calls, as text, by call id."""
        self.results = dict(results)
        for call in (call for turn in self.turns for call in turn if call.id in results):
            self.outside.acknowledged(call.name, results[call.id])
        number = self._number(results)
        if self.failures.get(number, 0):
            self.failures[number] -= 1
            raise Unreachable
        asked_before = bool(self.outside.lines("model", turn=number))
        self.outside.write("model", turn=number)
        if number == len(self.turns):
            return Turn(text=WORDS)
        return Turn(tuple(_other(call) if asked_before else call for call in self.turns[number]))

    def _number(self, results: Mapping[str, str]) -> int:
        open_turns = (number for number, turn in enumerate(self.turns) if any(call.id not in results for call in turn))
        return next(open_turns, len(self.turns))

    def alter(self, arguments: dict[str, Any]) -> None:
        """Change the arguments of a call, as user code on its way to the tool may do."""
        arguments.update(self.altered)

    @property
    def asked(self) -> list[int]:
        """The turns that a model was asked for, in order, by all processes."""
        return [line["turn"] for line in self.outside.lines("model")]


def _other(call: Call) -> Call:
    changed = {"amount": 7} if "amount" in call.arguments else {}
    return Call(call.id, call.name, {**call.arguments, **changed})
