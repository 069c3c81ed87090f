"""The invariants, held against a story.

I1  each effect happens at most once for its step, and did happen if the execution succeeded
I2  a result the app was given never changes, vanishes or is made again; records are only added
I3  an execution that succeeded has no unfinished step
I4  nothing is written under an epoch that another claim has superseded
I5  every execution ends as it should, or waits for something that has a name and can be given
I6  a journal has no gap, its digest chain holds, and the rows beside it say the same
I7  nothing gated runs without a decision for exactly these arguments, given before; a decision is used up once
I8  nobody is asked about a doubt that no kill has made
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.testing import receiver
from durable.testing.receiver import Violation
from tests.crash import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.scenario import Scenario
    from tests.crash.story import Story


def check(scenario: Scenario, story: Story) -> list[Violation]:
    """Every invariant that does not hold in this story."""
    found = [] if story.error is None else [Violation("I5", story.error)]
    found += receiver.once_each(scenario, story.ledger)
    found += receiver.results_are_final(story.ledger)
    found += receiver.permitted(scenario, story.ledger)
    found += inside.only_added(story.facts)
    for facts in story.facts:
        found += inside.journals(facts)
        found += inside.rows_agree(facts)
        found += inside.decisions(facts)
        found += inside.transactions(scenario, facts)
    if story.error is None:
        found += inside.all_finished(scenario, story.facts[-1], story.outputs)
        found += receiver.all_happened(scenario, story.ledger)
        found += _doubts(scenario, story)
    return list(dict.fromkeys(found))


def _doubts(scenario: Scenario, story: Story) -> Iterator[Violation]:
    asked = [interrupt for interrupt in story.facts[-1]["interrupts"] if interrupt["kind"] == "in_doubt"]
    for interrupt in asked:
        if scenario.effects.get(interrupt["tool"]) != "once":
            yield Violation("I8", f"{interrupt['tool']} was in doubt, which is not once")
    if len(asked) > len(story.killed) * scenario.side_by_side:
        yield Violation("I8", f"{len(asked)} doubts after {len(story.killed)} kills")
