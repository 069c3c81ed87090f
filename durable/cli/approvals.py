"""Decide what waits for a person: the verbs of the inbox."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from durable.checkpoint.records import Interrupt, InterruptName, InterruptStatus
from durable.cli import plain
from durable.cli.render import cell, clean, moment, short, table
from durable.cli.session import Session, chosen, one_of, parsed, person
from durable.inbox.decision import Decision
from durable.inbox.kinds import KINDS

Id = Annotated[
    str, typer.Argument(metavar="INTERRUPT", help="The interrupt's id, as `durable approvals list` shows it.")
]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; else $USER. Kept in the history.")]
Comment = Annotated[str | None, typer.Option("--comment", help="Kept in the history.")]
Role = Annotated[
    list[str] | None,
    typer.Option(
        "--role", metavar="NAME", help="A role of theirs; may be repeated. Who can write the database is believed."
    ),
]


@dataclass(frozen=True, slots=True)
class Who:
    """Person who decides, and in which roles."""

    by: str | None
    roles: list[str] | None
    comment: str | None


def list_all(  # noqa: PLR0913 - the filters of the verb
    session: Session,
    *,
    state: Annotated[str, typer.Option("--status", help=f"{one_of(InterruptStatus)}, or all.")] = "open",
    kind: Annotated[str | None, typer.Option(help=f"{one_of(InterruptName)}.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only about this tool.")] = None,
    execution: Annotated[str | None, typer.Option(metavar="ID", help="Only of this execution.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
) -> None:
    """List what waits for a decision, oldest first."""
    if state != "all":
        chosen(state, InterruptStatus, "--status")
    if kind is not None:
        chosen(kind, InterruptName, "--kind")
    filters: dict[str, Any] = {"kind": kind, "tool": tool, "execution_id": execution, "limit": limit}
    with session.runtime() as runtime:
        interrupts = runtime.interrupts(status=None if state == "all" else state, **filters)
        documents = [plain.interrupt(interrupt) for interrupt in interrupts]
    rows = table(
        "interrupt", "kind", "what", "execution", "asked (UTC)", "", fixed=("interrupt", "kind", "asked (UTC)")
    )
    for interrupt, shown in zip(interrupts, documents, strict=True):
        rows.add_row(
            cell(interrupt.id),
            cell(interrupt.kind),
            cell(_what(shown)),
            cell(interrupt.execution_id),
            moment(interrupt.created_at),
            cell(_state(interrupt), "dim"),
        )
    session.output.write(
        documents, lambda console: console.print(rows if interrupts else "nothing waits for a decision")
    )


def _what(shown: dict[str, Any]) -> str:
    subject = shown["subject"]
    kind = KINDS[shown["kind"]]
    if kind.shows_both_sides:
        recorded = subject.get("recorded", {})
        now = subject.get("now", {})
        return f"recorded {short(recorded, 120)}, now {short(now, 120)}"
    if shown["arguments"] is not None:
        why = f" ({shown['rule']})" if kind.says_why and shown["rule"] else ""
        return f"{kind.words}{shown['tool']} {short(shown['arguments'], 200)}{why}"
    question = subject.get("question", "") if isinstance(subject, dict) else short(subject, 200)
    choices = (subject.get("schema") or {}).get("enum") if isinstance(subject, dict) else None
    return f"{question} {short(choices, 120)}" if choices else str(question)


def _state(interrupt: Interrupt) -> str:
    if interrupt.status == "open":
        expires = f"expires {moment(interrupt.expires_at)}" if interrupt.expires_at is not None else ""
        needed = f"{interrupt.required} must agree" if interrupt.required > 1 else ""
        handed = ", ".join(f"{handed['by']} handed it to {handed['to']}" for handed in interrupt.terms.delegations)
        return "; ".join(part for part in (", ".join(interrupt.terms.approvers), handed, needed, expires) if part)
    return interrupt.status + (f" by {interrupt.decided_by}" if interrupt.decided_by else "")


def approve(session: Session, id_: Id, *, by: By = None, role: Role = None, comment: Comment = None) -> None:
    """Run the call as it was asked."""
    _decide(session, id_, Decision.approve(), Who(by, role, comment))


def edit(  # noqa: PLR0913 - the answer, and who gives it
    session: Session,
    id_: Id,
    arguments: Annotated[str, typer.Argument(metavar="JSON", help="All arguments: JSON, @file, or - for stdin.")],
    *,
    by: By = None,
    role: Role = None,
    comment: Comment = None,
) -> None:
    """Run the call with other arguments."""
    edited = parsed(arguments, "the arguments")
    if not isinstance(edited, dict):
        msg = 'the arguments are a JSON object: {"name": value}'
        raise typer.BadParameter(msg)
    _decide(session, id_, Decision.edit(edited), Who(by, role, comment))


def reject(  # noqa: PLR0913 - the answer, and who gives it
    session: Session,
    id_: Id,
    *,
    reason: Annotated[str, typer.Option("--reason", help="The agent is told it.")],
    by: By = None,
    role: Role = None,
    comment: Comment = None,
) -> None:
    """Do not run the call; the agent is told the reason and goes on."""
    _decide(session, id_, Decision.reject(reason), Who(by, role, comment))


def respond(  # noqa: PLR0913 - the answer, and who gives it
    session: Session,
    id_: Id,
    value: Annotated[str, typer.Argument(metavar="JSON", help="The answer: JSON, @file, or - for stdin.")],
    *,
    by: By = None,
    role: Role = None,
    comment: Comment = None,
) -> None:
    """Answer a question; for a call: do not run it, this is its result."""
    _decide(session, id_, Decision.respond(parsed(value, "the answer")), Who(by, role, comment))


def delegate(  # noqa: PLR0913 - who hands it to whom
    session: Session,
    id_: Id,
    *,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Who is to decide instead.")],
    by: By = None,
    role: Role = None,
    comment: Comment = None,
) -> None:
    """Hand the decision to another person, who may decide then in your place."""
    giver = person(by)
    with session.runtime(roles={giver: role or ()}) as runtime:
        runtime.delegate(id_, to=to, by=giver, comment=comment)
        document = plain.interrupt(runtime.interrupt(id_))
    session.output.write(document, lambda console: console.print(clean(f"{id_}: handed to {to} by {giver}")))


def resolve(  # noqa: PLR0913 - the answers of the verb
    session: Session,
    id_: Id,
    *,
    happened: Annotated[bool, typer.Option("--happened", help="In doubt: it did happen; it is not run again.")] = False,
    result: Annotated[str, typer.Option("--result", metavar="JSON", help="What it returned, if it happened.")] = "null",
    did_not_happen: Annotated[bool, typer.Option("--did-not-happen", help="In doubt: it did not; run it.")] = False,
    accept: Annotated[bool, typer.Option("--approve", help="Drift: go on with what was recorded.")] = False,
    reuse: Annotated[bool, typer.Option("--reuse", help="A repetition: take what the earlier call came to.")] = False,
    again: Annotated[bool, typer.Option("--again", help="A repetition: let it happen once more.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="A repetition: undo the earlier one, then do it.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the execution.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why it is cancelled.")] = "cancelled by decision",
    by: By = None,
    role: Role = None,
    comment: Comment = None,
) -> None:
    """Settle a step in doubt, a call that differs from its record, or one that a fork would make once more."""
    answers = {
        "--happened": Decision.happened(parsed(result, "--result")) if happened else None,
        "--did-not-happen": Decision.did_not_happen() if did_not_happen else None,
        "--approve": Decision.approve() if accept else None,
        "--reuse": Decision.reuse() if reuse else None,
        "--again": Decision.again() if again else None,
        "--undo": Decision.undo() if undo else None,
        "--cancel": Decision.cancel(reason) if cancel else None,
    }
    decisions = [answer for answer in answers.values() if answer is not None]
    if len(decisions) != 1:
        msg = f"give exactly one of {', '.join(answers)}"
        raise typer.BadParameter(msg)
    _decide(session, id_, decisions[0], Who(by, role, comment))


def _decide(session: Session, id_: str, decision: Decision, who: Who) -> None:
    by = person(who.by)
    with session.runtime(roles={by: who.roles or ()}) as runtime:
        counts = runtime.decide(id_, decision, by=by, comment=who.comment)
        interrupt = runtime.interrupt(id_)
        document = plain.interrupt(interrupt) | {"counts": counts}
    summary = f"{id_}: {decision.kind} by {by}" + ("" if counts else " (as before)")
    after = f"; execution {interrupt.execution_id} goes on as soon as a worker claims it"
    if interrupt.status == "open":
        after = f"; {interrupt.required} persons must give the same answer, it waits for the others"
    session.output.write(document, lambda console: console.print(clean(summary + after)))
