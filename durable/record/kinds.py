"""Kinds of steps: what is counted, what may run again as a whole, what needs its dependencies. One table.

A step that only holds others (a node, an agent, a task that is a place for steps) is a scope. A node or a task that is
one function with an effect of its own is a ``function``, whatever its framework calls it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from durable.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKENS = ("tokens", "money")


@dataclass(frozen=True, slots=True)
class StepKind:
    """Properties that all steps of one kind share.

    ``is_scope``: its body holds other steps and may be entered again; only they have effects. ``limits``: the limits of
    a budget that must leave room before one starts; a kind without any is not counted. ``needs_dependencies``: what the
    runtime's ``dependencies`` make is there before it is on record. ``tolerates_new_input``: it takes its record
    though the input differs, as prompts contain clocks; not where it is ``keyed_by_input`` and has a key.
    ``spends_tokens``: its answer has a usage and a price. ``operation`` and ``subject`` are its names in telemetry.
    """

    name: str
    is_scope: bool = False
    limits: tuple[str, ...] = ()
    needs_dependencies: bool = False
    tolerates_new_input: bool = False
    keyed_by_input: bool = False
    spends_tokens: bool = False
    operation: str = ""
    subject: str = ""

    @property
    def counted(self) -> bool:
        """True if a step of this kind is one of those that a budget counts."""
        return bool(self.limits)

    @property
    def has_effect(self) -> bool:
        """True if the step itself does something to the world, and not only the steps inside it."""
        return not self.is_scope


STEP = StepKind("step", limits=("steps",), needs_dependencies=True)
FUNCTION = StepKind("function", limits=("steps",), needs_dependencies=True)
TOOL = StepKind(
    "tool",
    limits=("steps", "tool_calls", *_TOKENS),
    needs_dependencies=True,
    operation=names.EXECUTE_TOOL,
    subject=names.TOOL,
)
MODEL = StepKind(
    "model",
    limits=("steps", "model_calls", *_TOKENS),
    tolerates_new_input=True,
    spends_tokens=True,
    operation=names.CHAT,
    subject=names.MODEL,
)
AGENT = StepKind("agent", is_scope=True, operation=names.INVOKE_AGENT, subject=names.AGENT)
NODE = StepKind("node", is_scope=True)
TASK = StepKind("task", is_scope=True)
FRAMEWORK = StepKind("framework", tolerates_new_input=True, keyed_by_input=True)
"""What a framework does for itself, as reading its session."""

KINDS: Mapping[str, StepKind] = {
    kind.name: kind for kind in (STEP, FUNCTION, TOOL, MODEL, AGENT, NODE, TASK, FRAMEWORK)
}


def kind_of(name: str | None) -> StepKind:
    """Return the kind of this name; a plain step where a record names none, or one of a newer version."""
    return KINDS.get(name or STEP.name, STEP)
