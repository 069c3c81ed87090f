"""Effects: what a call does to the world, and what that asks of its record. One table; other code asks it.

| effect | changes the world | repeatable | announced | in transaction | settles |
|---|---|---|---|---|---|
| ``read`` | | yes | | | |
| ``idempotent`` | yes | yes | | | |
| ``transactional`` | yes | | | yes | |
| ``once`` | yes | | yes | | yes |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

EffectName = Literal["read", "idempotent", "transactional", "once"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call does to the world outside.

    ``changes_world``: a recorded call of it is never skipped in favour of another. ``repeatable``: it may run again
    after a failure or a crash. ``announced``: it is on record before it runs. ``in_transaction``: its own writes commit
    with its record. ``settles``: an unknown outcome is settled by ``reconcile`` or a person, never by running again.
    """

    name: str
    changes_world: bool = False
    repeatable: bool = False
    announced: bool = False
    in_transaction: bool = False
    settles: bool = False

    @property
    def relies_on_key(self) -> bool:
        """True if only the idempotency key keeps a repetition from being a second effect."""
        return self.changes_world and self.repeatable


READ = Effect("read", repeatable=True)
IDEMPOTENT = Effect("idempotent", changes_world=True, repeatable=True)
TRANSACTIONAL = Effect("transactional", changes_world=True, in_transaction=True)
ONCE = Effect("once", changes_world=True, announced=True, settles=True)

_NONE = Effect("")
"""Of a record that is no call, as a question or a timer."""

EFFECTS: Mapping[str, Effect] = {effect.name: effect for effect in (READ, IDEMPOTENT, TRANSACTIONAL, ONCE)}
assert EFFECTS.keys() == set(get_args(EffectName))  # noqa: S101 - the names for type checkers are those of the table


def effect_of(name: str) -> Effect:
    """Return the effect of this name; of none at all where a record names no effect."""
    return EFFECTS.get(name, _NONE)
