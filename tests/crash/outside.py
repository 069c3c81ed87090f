"""What must hold at the receiving side: the world's ledger, whatever the database says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.crash.story import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.crash.scenario import Scenario
    from tests.crash.story import Line


def once_each(scenario: Scenario, ledger: Sequence[Line]) -> Iterator[Violation]:
    """I1, at the receiver: it drops a second arrival under the same key, and nothing else."""
    for effect, lines in _by_effect(ledger).items():
        kind = scenario.effects.get(effect)
        arrived = [line for line in lines if line["what"] == "arrived"]
        if kind is None:
            yield Violation("I1", f"effect {effect} was not declared")
        if kind == "once" and len(arrived) > 1:
            yield Violation("I1", f"once effect {effect} happened {len(arrived)} times")
        if kind == "idempotent" and len({line["key"] for line in arrived}) > 1:
            yield Violation("I1", f"idempotent effect {effect} arrived under different keys")
        if len({str(line["arguments"]) for line in arrived}) > 1:
            yield Violation("I1", f"effect {effect} arrived with different arguments")
        if arrived and effect in scenario.refused:
            yield Violation("I7", f"{effect} happened although it was refused")
    yield from _one_key_one_effect(ledger)


def _one_key_one_effect(ledger: Sequence[Line]) -> Iterator[Violation]:
    effects: dict[str, set[str]] = {}
    for line in ledger:
        if line.get("key") is not None:
            effects.setdefault(line["key"], set()).add(line["effect"])
    for key, names in effects.items():
        if len(names) > 1:
            yield Violation("I1", f"one idempotency key for several effects {sorted(names)}: {key}")


def results_are_final(ledger: Sequence[Line]) -> Iterator[Violation]:
    """I2, as the app saw it: what a step gave stays, and its effect is not made again."""
    for effect, lines in _by_effect(ledger).items():
        given = [line["value"] for line in lines if line["what"] == "acknowledged"]
        if any(value != given[0] for value in given):
            yield Violation("I2", f"the result of {effect} changed: {given}")
        order = [line["what"] for line in lines]
        if "acknowledged" in order and "arrived" in order[order.index("acknowledged") :]:
            yield Violation("I2", f"{effect} ran again after the app had its result")


def permitted(scenario: Scenario, ledger: Sequence[Line]) -> Iterator[Violation]:
    """I7, in the order of the world: first a person's yes to these arguments, then the effect."""
    for place, line in enumerate(ledger):
        if line["what"] not in {"arrived", "refused"} or line["effect"] not in scenario.gated:
            continue
        yes = [
            said
            for said in ledger[:place]
            if said["what"] == "decided" and said["tool"] == line["effect"] and said["decision"] in {"approve", "edit"}
        ]
        if not any(said["arguments"] == line["arguments"] for said in yes):
            yield Violation("I7", f"{line['effect']} ran with {line['arguments']}, decided was {yes}")


def all_happened(scenario: Scenario, ledger: Sequence[Line]) -> Iterator[Violation]:
    """I1, the other half: of an execution that succeeded, each effect did happen."""
    arrived = {line["effect"] for line in ledger if line["what"] == "arrived"}
    for effect, kind in scenario.effects.items():
        if kind != "transactional" and effect not in arrived | scenario.refused:
            yield Violation("I1", f"{effect} never happened")


def _by_effect(ledger: Sequence[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in ledger:
        if "effect" in line:
            found.setdefault(line["effect"], []).append(line)
    return found
