"""Approval: a call that needs a person's yes is shown to them first, and waits.

Nobody is asked about a call that cannot run: one whose arguments do not fit its schema is refused at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.inbox.ask import Unanswered, asked, question, standing, withdrawal
from durable.inbox.batch import NOTHING, Batch
from durable.inbox.kinds import APPROVAL
from durable.inbox.schemas import misfit
from durable.record.events import StepDone, StepFailed
from durable.step.facts import facts_of
from durable.step.gates import allowed
from durable.step.verdicts import PASS, Finished, Pass, Start, Wait, after

if TYPE_CHECKING:
    from durable.inbox.ask import Answer
    from durable.step.call import Placed
    from durable.step.verdicts import Verdict


def gate(placed: Placed) -> Verdict:
    """Return Pass if nobody is to be asked, or if a person has said yes."""
    interrupt = asked(placed.segment, placed.outcome, APPROVAL)
    if interrupt is None:
        return _ask_first(placed) if placed.fresh else PASS
    answer = standing(placed.segment, placed.outcome)
    if isinstance(answer, Unanswered):
        return Wait(answer.batch, interrupt=answer.interrupt)
    if answer is not None and (placed.outcome.accepted or interrupt.arguments_hash == placed.complete_hash):
        return _answered(placed, answer)
    # a default has changed since: what was decided is not what would run
    withdrawn = Pass(NOTHING if answer is None else withdrawal(placed.outcome))
    return after(withdrawn, _ask_again(placed)) if placed.fresh else withdrawn


def _ask_again(placed: Placed) -> Verdict:
    refused = allowed.refusal(placed, placed.call.complete)
    return _ask_first(placed) if refused is None else Finished(refused)


def _ask_first(placed: Placed) -> Verdict:
    call = placed.call
    approval = call.policy.gate
    rule = None if approval is None else approval.asks(facts_of(call, call.complete, key=placed.key))
    if approval is None or rule is None:
        return PASS
    schema = None if call.schema is None else call.schema()
    reason = misfit(schema, call.complete)
    if reason is not None:
        rejected = f"nobody was asked, its arguments do not fit: {reason}"
        return Finished(Batch((StepFailed.of(placed.about, rejected=rejected, misfit=True).pack(placed.key),)))
    return Wait(
        question(
            placed.segment,
            placed.outcome,
            APPROVAL,
            {"arguments": call.complete, "tool": call.name, **({"schema": schema} if schema else {})},
            tool=call.name,
            arguments_hash=placed.complete_hash,
            rule=rule.rule,
            gate=approval,
            about=placed.about,
        )
    )


def _answered(placed: Placed, answer: Answer) -> Verdict:
    segment, decision, name = placed.segment, answer.decision, placed.call.name
    used_up, by = answer.used_up(segment), answer.interrupt.decided_by
    match decision.kind:
        case "approve" | "edit":
            return _approved(placed, answer, used_up)
        case "reject":
            rejected = StepFailed.of(placed.about, rejected=decision.reason or "", by=by)
            return Finished(used_up + Batch((rejected.pack(placed.key),)))
        case _:
            value = segment.runtime.codec.encode(decision.value, what=f"the answer for {name}")
            return Finished(used_up + Batch((StepDone.of(placed.about, by=by).pack(placed.key, value),)))


def _approved(placed: Placed, answer: Answer, used_up: Batch) -> Verdict:
    arguments = answer.decision.value if answer.decision.kind == "edit" else placed.call.complete
    placed.segment.runtime.codec.encode(arguments, what=f"the edited arguments of {placed.call.name}")
    refused = allowed.refusal(placed, arguments)
    return Pass(start=Start(used_up, arguments)) if refused is None else Finished(used_up + refused)
