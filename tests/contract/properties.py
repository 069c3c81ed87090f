"""The six properties of the resume contract. Each takes an empty place and returns what is broken, nothing if it holds.

Everything is counted at the receiving side. A process that raised where it was to go on breaks the property too.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.contract.outside import DEADS
from tests.contract.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.places import Place

    Property = Callable[[Place], list[str]]

WHOLE = ["draw 1", "reserve 1", "pay 1"]
"""What arrives in an order that nothing disturbs."""
RESUMERS = (2, 4, 8, 16)


def prefix_continuation(place: Place, dies: str = "before pay") -> list[str]:
    """Killed between two effects, it goes on behind what had finished: nothing before is asked for or done again."""
    kill(place, dies)
    before = place.outside.arrived()
    finish(place)
    arrived = place.outside.arrived()
    return _differs("what arrived", arrived, WHOLE) + _differs("its beginning", arrived[: len(before)], before)


def exactly_once(place: Place, dies: str = "after pay") -> list[str]:
    """Killed right after an effect, before anything says so: it has happened once when all is over."""
    kill(place, dies)
    finish(place)
    effects = [line for line in place.outside.arrived() if not line.startswith("draw")]
    return _differs("what arrived", effects, WHOLE[1:]) + _differs("the outcome", place.run("outcome"), "paid 1")


def fork_determinism(place: Place) -> list[str]:
    """Two forks of one point come to the same as the original, and nothing beyond it happens a second time."""
    place.run("begin")
    place.run("say_yes")
    outcomes = [place.run("outcome"), place.run("go_back"), place.run("go_back")]
    return _differs("the outcomes", outcomes, ["paid 1"] * 3) + _differs("what arrived", place.outside.arrived(), WHOLE)


def checkpoint_validity(place: Place, dies: str = "after reserve") -> list[str]:
    """Whatever moment it is killed at: what is stored is whole, and leads to the end."""
    kill(place, dies)
    broken = list(place.run("faults"))
    finish(place)
    broken += place.run("faults")
    return broken + _differs("the outcome", place.run("outcome") is not None, right=True)


def consume_once(place: Place, resumers: int = 4) -> list[str]:
    """So many processes resume it at once with the same answer: it is used by one of them."""
    place.run("begin")
    place.race("say_yes", resumers, slow=1.0)
    finish(place)
    effects = Counter(line for line in place.outside.arrived() if not line.startswith("draw"))
    return _differs("what arrived", dict(effects), {"reserve 1": 1, "pay 1": 1})


def recovery_determinism(place: Place, dies: str = "after reserve") -> list[str]:
    """Two recoveries of the same wreck come to the same outcome by the same calls; what had begun keeps its key."""
    kill(place, dies)
    begun = dies.split()[1]
    with place.copied() as copy:
        for each in (place, copy):
            finish(each)
        found = [
            ([(what, number, key if what == begun else "") for what, number, key in each.outside.lines()], outcome)
            for each, outcome in ((each, each.run("outcome")) for each in (place, copy))
        ]
    numbers = sorted({line[1] for line in place.outside.lines()})
    return _differs("the other recovery", found[1], found[0]) + _differs("the numbers", numbers, [1])


def kill(place: Place, dies: str) -> None:
    """Let the order come to the moment of its death."""
    if "pay" in dies:
        place.run("begin")
        place.killed("say_yes", dies)
    else:
        place.killed("begin", dies)


def finish(place: Place) -> None:
    """Take what is left to its end: a person looks after it."""
    place.run("go_on")
    place.run("say_yes")


def _differs(what: str, found: object, right: object) -> list[str]:
    return [] if found == right else [f"{what}: {found}, right is {right}"]


def holds(check: Property, place: Place) -> list[str]:
    """Return what is broken; what a process raised is."""
    try:
        return check(place)
    except Failed as exc:
        return [str(exc).strip().splitlines()[-1]]


def _at(check: Callable[..., list[str]], value: object) -> Property:
    return lambda place: check(place, value)


PROPERTIES: dict[str, dict[str, Property]] = {
    "prefix continuation": {dies: _at(prefix_continuation, dies) for dies in ("before reserve", "before pay")},
    "effect exactly once": {dies: _at(exactly_once, dies) for dies in ("after reserve", "after pay")},
    "fork determinism": {"": fork_determinism},
    "checkpoint validity": {dies: _at(checkpoint_validity, dies) for dies in DEADS},
    "consume once": {f"by {count}": _at(consume_once, count) for count in RESUMERS},
    "recovery determinism": {dies: _at(recovery_determinism, dies) for dies in DEADS},
}
"""Each property by its name, and the ways in which it is tried."""
