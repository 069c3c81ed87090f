"""What must hold at the receiving side, whatever the database says: rules over the ledger of the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from durable.testing.outside import Line


class Expected(Protocol):
    """What may happen outside: each effect by name, those that a person must allow, and those that a person refuses.

    An effect is ``read``, ``idempotent``, ``transactional`` or ``once``.
    """

    @property
    def effects(self) -> Mapping[str, str]:
        """Return the kind of each effect."""

    @property
    def gated(self) -> frozenset[str]:
        """Return the effects that need a person's yes."""

    @property
    def refused(self) -> frozenset[str]:
        """Return the effects that must not happen."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One invariant that does not hold."""

    invariant: str
    words: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.words}"


def once_each(expected: Expected, ledger: Sequence[Line]) -> Iterator[Violation]:
    """Check I1 at the receiver: it drops a second arrival under the same key, and nothing else."""
    for effect, lines in _by_effect(ledger).items():
        arrived = [line for line in lines if line["what"] == "arrived"]
        yield from _as_declared(effect, expected.effects.get(effect), arrived)
        if len({str(line["arguments"]) for line in arrived}) > 1:
            yield Violation("I1", f"effect {effect} arrived with different arguments")
        if arrived and effect in expected.refused:
            yield Violation("I7", f"{effect} happened although it was refused")
    yield from _one_key_one_effect(ledger)


def _as_declared(effect: str, kind: str | None, arrived: Sequence[Line]) -> Iterator[Violation]:
    if kind is None:
        yield Violation("I1", f"effect {effect} was not declared")
    if kind == "once" and len(arrived) > 1:
        yield Violation("I1", f"once effect {effect} happened {len(arrived)} times")
    if kind == "idempotent" and len({line["key"] for line in arrived}) > 1:
        yield Violation("I1", f"idempotent effect {effect} arrived under different keys")


def _one_key_one_effect(ledger: Sequence[Line]) -> Iterator[Violation]:
    effects: dict[str, set[str]] = {}
    for line in ledger:
        if line.get("key") is not None:
            effects.setdefault(line["key"], set()).add(line["effect"])
    for key, names in effects.items():
        if len(names) > 1:
            yield Violation("I1", f"one idempotency key for several effects {sorted(names)}: {key}")


def results_are_final(ledger: Sequence[Line]) -> Iterator[Violation]:
    """Check I2 as the app saw it: what a step gave stays, and its effect is not made again."""
    for effect, lines in _by_effect(ledger).items():
        values = [line["value"] for line in lines if line["what"] == "acknowledged"]
        if any(value != values[0] for value in values):
            yield Violation("I2", f"the result of {effect} changed: {values}")
        order = [line["what"] for line in lines]
        if "acknowledged" in order and "arrived" in order[order.index("acknowledged") :]:
            yield Violation("I2", f"{effect} ran again after the app had its result")


def permitted(expected: Expected, ledger: Sequence[Line]) -> Iterator[Violation]:
    """Check I7 in the order of the world: first a person's yes to these arguments, then the effect."""
    for place, line in enumerate(ledger):
        if line["what"] not in {"arrived", "refused"} or line["effect"] not in expected.gated:
            continue
        allowed = [
            decided
            for decided in ledger[:place]
            if decided["what"] == "decided"
            and decided["tool"] == line["effect"]
            and decided["decision"] in {"approve", "edit"}
        ]
        if not any(decided["arguments"] == line["arguments"] for decided in allowed):
            yield Violation("I7", f"{line['effect']} ran with {line['arguments']}, decided was {allowed}")


def all_happened(expected: Expected, ledger: Sequence[Line]) -> Iterator[Violation]:
    """Check I1, the other half: of an execution that succeeded, each effect did happen."""
    arrived = {line["effect"] for line in ledger if line["what"] == "arrived"}
    for effect, kind in expected.effects.items():
        if kind != "transactional" and effect not in arrived | expected.refused:
            yield Violation("I1", f"{effect} never happened")


def _by_effect(ledger: Sequence[Line]) -> dict[str, list[Line]]:
    lines: dict[str, list[Line]] = {}
    for line in ledger:
        if "effect" in line:
            lines.setdefault(line["effect"], []).append(line)
    return lines
