"""The gate: a call that needs a person's yes is shown to them first, and waits.

Nobody is asked about a call that cannot run: one whose arguments do not fit its schema is refused at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.errors import Suspended
from durable.inbox.ask import ask_person
from durable.inbox.schemas import misfit
from durable.record.events import StepFailed
from durable.step.facts import facts_of

if TYPE_CHECKING:
    from durable.checkpoint.records import NewRecord
    from durable.record.replay import Outcome
    from durable.step.call import StepCall


def asked_first(call: StepCall, outcome: Outcome) -> NewRecord | None:
    """None if nobody is to be asked; the refusal of a call that cannot run. Raises Suspended if a person is asked."""
    gate = call.policy.gate
    asked = None if gate is None else gate.asks(facts_of(call, call.complete))
    if gate is None or not asked:
        return None
    schema = None if call.schema is None else call.schema()
    why = misfit(schema, call.complete)
    if why is not None:
        rejected = f"nobody was asked, its arguments do not fit: {why}"
        return StepFailed.of(call.about, rejected=rejected, misfit=True).pack(outcome.key)
    ask_person(
        call.scope.segment,
        outcome,
        "approval",
        {"arguments": call.complete, "tool": call.name, **({"schema": schema} if schema else {})},
        tool=call.name,
        arguments_hash=call.complete_hash,
        rule=asked.rule,
        gate=gate,
        about=call.about,
    )
    raise Suspended
