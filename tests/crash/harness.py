"""Crash enumeration: a process is killed at every point there is, recovered, and the invariants are held against what is left.

    with Places(MyScenario(), server) as places:        # server: url of a PostgreSQL server, None for SQLite
        tally = enumerate_points(places)
    assert not tally.violations, str(tally)

**To add a scenario** (of a framework, for instance) subclass ``tests.crash.scenario.Scenario``:

- ``build(runtime, world)`` registers the app with this process's runtime; it is called once in every life. Each effect on the
  outside calls ``world.effect(name, arguments, key=...)``, where ``name`` is the name of its tool or step and ``key`` is
  ``current().idempotency_key``; what a step gave back to the app goes through ``world.acknowledged(name, value)``.
- ``start(runtime)`` starts and drives the executions named in ``expected``: ``runtime.run(self.app, input, id=...)``, or the
  framework's own entry. It is called again after a crash, so it must be what a user would call again.
- ``effects``, ``gated``, ``refused``, ``expected`` say what may happen; ``answer`` and ``deliver`` are the person and the
  sender of signals. An in-doubt interrupt is answered honestly, by a look into the ledger.

A name in ``effects`` stands for one step of the scenario: two steps of the same tool need two effect names.

Each life is a process, forked from this one with everything imported (import a framework in the module of its scenario). It
attaches a ``Crash`` to the engine of its runtime, tells by a pipe what facts it found, and pushes until all has ended
(``scenario.live``) or it is killed. The last life of a story is never killed. Dead owners of the same machine are recognised
at once, so no lease is waited for.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from durable.testing.outside import Outside
from durable.testing.receiver import Violation
from tests.crash.faults import Moment
from tests.crash.invariants import check
from tests.crash.life import Life, Order, Survivor, lead
from tests.crash.story import Story

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.crash.life import Plant
    from tests.crash.places import Places


@dataclass(slots=True)
class Tally:
    """What an enumeration came to. ``points`` were killed at; ``undisturbed`` stories ended before the kill's point came;
    ``missed`` are kinds of points that never came again.
    """

    points: int = 0
    stories: int = 0
    undisturbed: int = 0
    kills: int = 0
    doubts: int = 0
    missed: list[str] = field(default_factory=list)
    violations: list[tuple[Sequence[tuple[int, str]], Violation]] = field(default_factory=list)

    def add(self, story: Story, violations: Sequence[Violation], *, wanted: int) -> None:
        """Count one story in which a process was to be killed ``wanted`` times."""
        self.stories += 1
        self.points += len(story.killed) == wanted
        self.undisturbed += len(story.killed) < wanted
        self.kills += len(story.killed)
        self.doubts += sum(i["kind"] == "in_doubt" for i in story.facts[-1]["interrupts"]) if story.facts else 0
        self.violations += [(story.killed, violation) for violation in violations]

    def __str__(self) -> str:
        listed = [f"killed at {killed}: {violation}" for killed, violation in self.violations[:20]]
        head = (
            f"{self.points} points, {self.stories} stories, {self.kills} kills, {self.doubts} doubts, "
            f"{len(self.violations)} violations, missed {self.missed}"
        )
        return "\n".join([head, *listed])


class Teller:
    """Tells stories of one scenario in one place. A context manager, for the process that recovers all of them."""

    def __init__(self, places: Places, *, only_changes: bool = False, plant: Plant | None = None) -> None:
        self.places = places
        self._only_changes = only_changes
        self._plant = plant
        self._survivor = Survivor(places, plant)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._survivor.end()

    def begin(self, at: int | Moment | None) -> Life:
        """The first life of a new story."""
        self.places.fresh()
        return lead(self.places, Order(at, self._only_changes, first=True, plant=self._plant))

    def go_on(self, lives: Sequence[Life], kills: Sequence[int]) -> tuple[Story, list[Violation]]:
        """A further life for each number in ``kills``, killed at that point, then one that is not; the story so far.

        It ends with the first life that came to the end by itself.
        """
        lives = [*lives]
        for at in [*kills, None]:
            if lives[-1].killed is None:
                break
            recover_first = (lives[0].killed[0] + len(lives)) % 2 == 1
            if at is None:
                lives.append(self._survivor.lead(recover_first=recover_first))
            else:
                order = Order(at, self._only_changes, recover_first=recover_first, plant=self._plant)
                lives.append(lead(self.places, order))
        story = self._story(lives)
        return story, check(self.places.scenario, story)

    def _story(self, lives: Sequence[Life]) -> Story:
        facts = [life.before for life in lives if life.before] + [life.after for life in lives if life.after]
        killed = [life.killed for life in lives if life.killed is not None]
        return Story(facts, Outside(self.places.ledger).lines(), killed, lives[-1].outputs, lives[-1].error)

    def dry_run(self) -> Life:
        """An undisturbed life: its points. Raises AssertionError if an invariant does not hold even then."""
        life = self.begin(None)
        _, violations = self.go_on([life], ())
        assert not violations, [str(violation) for violation in violations]
        assert "committed executions, started" in life.labels, (
            "no commit is seen: the harness listens at the wrong place"
        )
        assert "before INSERT journal" in life.labels or self._only_changes, "no append to a journal is seen"
        return life


def enumerate_points(places: Places, *, shard: int = 0, shards: int = 1, only_changes: bool = False) -> Tally:
    """Kill at every point of this shard (shard + 1, shard + 1 + shards, ...), until a life ends before its point comes.

    ``only_changes`` kills behind every change only: the points between two of them leave the same state. Where branches run side by side the number of points differs from run to run; it goes on until past the last.
    """
    tally, at = Tally(), shard + 1
    with Teller(places, only_changes=only_changes) as teller:
        total = teller.dry_run().points
        while True:
            story, violations = teller.go_on([teller.begin(at)], ())
            tally.add(story, violations, wanted=1)
            if not story.killed and at > total:
                return tally
            at += shards


def enumerate_kinds(
    places: Places, *, shard: int = 0, shards: int = 1, plant: Plant | None = None, only_changes: bool = False
) -> Tally:
    """Kill once at every kind of point that an undisturbed life has: at its first, or second, or a later occurrence.

    Its label decides which occurrence that is, and to which shard it belongs. Where branches run side by side that occurrence may not
    come again: then it is the first one, in one of the next TRIES lives. What was due to chance can be missed all the same.
    """
    tally = Tally()
    with Teller(places, only_changes=only_changes, plant=plant) as teller:
        for label, times in teller.dry_run().labels.items():
            number = zlib.crc32(label.encode())
            if number % shards != shard:
                continue
            for nth in (1 + number // shards % times, *[1] * TRIES):
                story, violations = teller.go_on([teller.begin(Moment(label, nth))], ())
                tally.add(story, violations, wanted=1)
                if story.killed:
                    break
            else:
                tally.missed.append(label)
    return tally


TRIES = 3


def enumerate_pairs(places: Places, *, seconds: int | None, shard: int = 0, shards: int = 1) -> Tally:
    """Kill behind every change of this shard, and again while that is recovered: behind ``seconds`` changes, None for all.

    Between two changes all points leave the same state, and ``enumerate_points`` has been at each of them. The sampled
    second points are spread over the recovery and move on with the first, so that each is hit after some first one.
    """
    tally = Tally()
    with Teller(places, only_changes=True) as teller:
        total = teller.dry_run().points
        for at in range(shard + 1, total + 1, shards):
            first = teller.begin(at)
            with places.kept() as again:
                for second in _seconds(at, total - at + MORE, seconds):
                    again()
                    story, violations = teller.go_on([first], (second,))
                    tally.add(story, violations, wanted=2)
    return tally


MORE = 3
"""Changes that a recovery has beyond those it has left to do: its claims, and the question about a doubt."""


def _seconds(first: int, length: int, count: int | None) -> list[int]:
    if count is None:
        return list(range(1, length + 1))
    return sorted({1 + (first * 7 + place * length // count) % length for place in range(count)})
