"""Verbs about executions: start, list, show, history, cancel, retry, fork."""

from typing import Annotated, Any

import typer

from durable.checkpoint.records import Execution, Status
from durable.cli import history as histories
from durable.cli import plain
from durable.cli.loading import load_runtime
from durable.cli.render import cell, clean, fields, moment, status, table, whole
from durable.cli.session import Session, chosen, one_of, pairs, parsed
from durable.errors import CorruptPayload, JournalCorrupt
from durable.live.owner import is_dead
from durable.run.handle import Handle

Id = Annotated[str, typer.Argument(metavar="ID", help="The execution's id.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Repeat for several.")]


def start(  # noqa: PLR0913 - the options of the verb
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The app to run.")],
    *,
    given: Annotated[str, typer.Option("--input", metavar="JSON", help="JSON, @file, or - for stdin.")] = "null",
    id_: Annotated[str | None, typer.Option("--id", help="The same id again is the same execution.")] = None,
    thread: Annotated[str | None, typer.Option(help="At most one open execution per thread.")] = None,
    queue: Annotated[str, typer.Option(help="Whose workers run it.")] = "default",
    priority: Annotated[int, typer.Option(help="Higher ones are claimed first.")] = 0,
    deadline: Annotated[float | None, typer.Option(help="Seconds from now after which no step starts.")] = None,
    tag: Tags = None,
    app: Annotated[
        str | None,
        typer.Option("--app", metavar="MODULE:ATTRIBUTE", help="Load this runtime: its database, its version of NAME."),
    ] = None,
) -> None:
    """Record an execution; a worker that knows NAME runs it."""
    value = parsed(given, "--input")
    options: dict[str, Any] = {"id": id_, "thread": thread, "queue": queue, "priority": priority}
    options |= {"deadline": deadline, "tags": pairs(tag, "--tag")}
    if app is not None:
        runtime = load_runtime(app, session)
        runtime.app(name)
        _told_start(session, runtime.start(name, value, **options))
        return
    with session.runtime(create=True) as runtime:
        _told_start(session, runtime.start(name, value, **options))


def _told_start(session: Session, handle: Handle) -> None:
    found = handle.execution()
    session.output.tell(plain.execution(found), lambda console: console.print(clean(f"{found.id} {found.status}")))


def list_all(  # noqa: PLR0913 - the filters of the verb
    session: Session,
    *,
    state: Annotated[
        list[str] | None,
        typer.Option("--status", help=f"{one_of(Status)}; repeat for several."),
    ] = None,
    app: Annotated[str | None, typer.Option(help="Only of this app.")] = None,
    thread: Annotated[str | None, typer.Option(help="Only of this thread.")] = None,
    tag: Tags = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
) -> None:
    """List executions, newest first."""
    for wanted in state or ():
        chosen(wanted, Status, "--status")
    with session.runtime() as runtime:
        filters: dict[str, Any] = {"app": app, "thread": thread, "tags": pairs(tag, "--tag"), "limit": limit}
        found = runtime.executions(status=tuple(state or ()), **filters)
    made = table("id", "app", "status", "thread", "created (UTC)", "", fixed=("id", "status", "created (UTC)"))
    for one in found:
        about = cell(_about(one), "dim")
        made.add_row(cell(one.id), cell(one.app), status(one.status), cell(one.thread), moment(one.created_at), about)
    session.output.tell(
        [plain.execution(one) for one in found],
        lambda console: console.print(made if found else "no executions"),
    )


def _about(found: Execution) -> str:
    if found.error is not None:
        return f"{found.error.get('type', '')}: {found.error.get('message', '')}"[:100]
    if found.status == "running":
        gone = " (gone)" if is_dead(found.lease_owner or "") else ""
        return f"epoch {found.epoch}, {histories.who(found.lease_owner)}{gone}"
    if found.status == "suspended" and found.run_after is not None:
        return f"until {moment(found.run_after)}"
    return f"cancelling: {found.cancel_reason}" if found.cancel_reason and not found.ended else ""


def show(session: Session, id_: Id) -> None:
    """Show one execution: its state, input, output, error, and what it waits for."""
    with session.runtime() as runtime:
        handle = runtime.get(id_)
        found = handle.execution()
        waits = [one for one in handle.interrupts() if one.status in {"open", "decided"}]
        told = plain.whole_execution(found, waits)

    def text(console: Any) -> None:
        fields(
            console,
            {
                "id": found.id,
                "app": found.app + (f" {found.app_version}" if found.app_version else ""),
                "status": status(found.status),
                "thread": found.thread,
                "queue": f"{found.queue}, priority {found.priority}",
                "tags": ", ".join(f"{key}={value}" for key, value in found.tags.items()),
                "epoch": f"{found.epoch}, attempt {found.attempts}",
                "owner": found.lease_owner,
                "lease until": moment(found.lease_expires_at),
                "created": moment(found.created_at),
                "started": moment(found.started_at),
                "finished": moment(found.finished_at),
                "deadline": moment(found.deadline_at),
                "cancel": found.cancel_reason,
                "error": None if found.error is None else f"{found.error['type']}: {found.error['message']}",
                "input": whole(told["input"]),
                "output": None if found.output is None else whole(told["output"]),
                "waits for": "\n".join(f"{one.kind} {one.id} ({one.status}) at {one.step_key}" for one in waits),
            },
        )

    session.output.tell(told, text)


def history(
    session: Session,
    id_: Id,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Recompute the chain of digests; exit 1 if it is broken.")
    ] = False,
    brief: Annotated[
        bool, typer.Option("--brief", help="Without checkpoints, and without steps that only hold other steps.")
    ] = False,
) -> None:
    """Show what happened in an execution, in order: its journal."""
    with session.runtime() as runtime:
        handle = runtime.get(id_)
        broken: JournalCorrupt | None = None
        length = 0
        try:
            length = handle.verify() if verify else 0
        except JournalCorrupt as exc:
            broken = exc
        try:
            records = handle.history()
        except CorruptPayload as exc:
            raise broken or exc from exc
        head = records[length - 1].digest.hex() if length else ""
        verified: dict[str, Any] | None = {"length": length, "head": head} if length else None
        told = {"execution_id": id_, "records": [plain.record(one) for one in records], "verified": verified}
        found = handle.execution()
        lines = histories.lines(records, gone=found.status == "running" and is_dead(found.lease_owner or ""))

    def text(console: Any) -> None:
        console.print(histories.shown(histories.brief(lines) if brief else lines))
        if verified is not None:
            console.print(f"the chain of {verified['length']} records is intact, its head is {head[:16]}")

    session.output.tell(told, text)
    if broken is not None:
        raise broken


def cancel(
    session: Session,
    id_: Id,
    *,
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "cancelled by request",
    compensate: Annotated[
        bool | None,
        typer.Option("--compensate/--no-compensate", help="Undo what it has done, or not; else as its app says."),
    ] = None,
) -> None:
    """Ask an execution to end: at once if nobody drives it, else before its next step."""
    with session.runtime() as runtime:
        handle = runtime.get(id_)
        handle.cancel(reason, compensate=compensate)
        _told_state(session, handle, "is asked to end; its worker does so before the next step")


def retry(session: Session, id_: Id) -> None:
    """Let an execution that failed, died or waits run again; what had finished is not run again."""
    with session.runtime() as runtime:
        handle = runtime.get(id_)
        handle.retry()
        _told_state(session, handle, "")


def fork(
    session: Session,
    id_: Id,
    *,
    at: Annotated[int, typer.Option("--at", metavar="SEQ", help="The last record that both have in common.")],
    new: Annotated[str | None, typer.Option("--id", metavar="NEW", help="The fork's id; else one is made.")] = None,
    app: Annotated[
        str | None,
        typer.Option("--app", metavar="MODULE:ATTRIBUTE", help="Load this runtime: an agent's thread is forked by it."),
    ] = None,
) -> None:
    """Begin another execution with the records of this one up to SEQ; what happened beyond is not repeated silently."""
    if app is not None:
        _told_start(session, load_runtime(app, session).get(id_).fork(at=at, id=new))
        return
    with session.runtime() as runtime:
        _told_start(session, runtime.get(id_).fork(at=at, id=new))


def _told_state(session: Session, handle: Handle, if_running: str) -> None:
    found = handle.execution()
    note = f" ({if_running})" if found.status == "running" and if_running else ""
    if found.status == "pending" and found.cancel_reason is not None:
        note = " (is asked to end; a worker of its app undoes what it has done first)"
    session.output.tell(
        plain.execution(found), lambda console: console.print(clean(f"{found.id} {found.status}{note}"))
    )
