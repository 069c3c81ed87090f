"""Start, list, show, cancel, retry and fork executions, and read their history."""

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
    input_: Annotated[str, typer.Option("--input", metavar="JSON", help="JSON, @file, or - for stdin.")] = "null",
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
    value = parsed(input_, "--input")
    options: dict[str, Any] = {"id": id_, "thread": thread, "queue": queue, "priority": priority}
    options |= {"deadline": deadline, "tags": pairs(tag, "--tag")}
    if app is not None:
        runtime = load_runtime(app, session)
        runtime.app(name)
        _show_started(session, runtime.start(name, value, **options))
        return
    with session.runtime(create=True) as runtime:
        _show_started(session, runtime.start(name, value, **options))


def _show_started(session: Session, handle: Handle) -> None:
    execution = handle.execution()
    session.output.write(
        plain.execution(execution), lambda console: console.print(clean(f"{execution.id} {execution.status}"))
    )


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
    for status_name in state or ():
        chosen(status_name, Status, "--status")
    with session.runtime() as runtime:
        filters: dict[str, Any] = {"app": app, "thread": thread, "tags": pairs(tag, "--tag"), "limit": limit}
        found_executions = runtime.executions(status=tuple(state or ()), **filters)
    rows = table("id", "app", "status", "thread", "created (UTC)", "", fixed=("id", "status", "created (UTC)"))
    for execution in found_executions:
        about = cell(_about(execution), "dim")
        rows.add_row(
            cell(execution.id),
            cell(execution.app),
            status(execution.status),
            cell(execution.thread),
            moment(execution.created_at),
            about,
        )
    session.output.write(
        [plain.execution(execution) for execution in found_executions],
        lambda console: console.print(rows if found_executions else "no executions"),
    )


def _about(execution: Execution) -> str:
    if execution.error is not None:
        return f"{execution.error.get('type', '')}: {execution.error.get('message', '')}"[:100]
    if execution.status == "running":
        gone = " (gone)" if is_dead(execution.lease_owner or "") else ""
        return f"epoch {execution.epoch}, {histories.who(execution.lease_owner)}{gone}"
    if execution.status == "suspended" and execution.run_after is not None:
        return f"until {moment(execution.run_after)}"
    return f"cancelling: {execution.cancel_reason}" if execution.cancel_reason and not execution.ended else ""


def show(session: Session, id_: Id) -> None:
    """Show one execution: its state, input, output, error, and what it waits for."""
    with session.runtime() as runtime:
        handle = runtime.get(id_)
        execution = handle.execution()
        waits = [interrupt for interrupt in handle.interrupts() if interrupt.status in {"open", "decided"}]
        document = plain.whole_execution(execution, waits)

    def text(console: Any) -> None:
        fields(
            console,
            {
                "id": execution.id,
                "app": execution.app + (f" {execution.app_version}" if execution.app_version else ""),
                "status": status(execution.status),
                "thread": execution.thread,
                "queue": f"{execution.queue}, priority {execution.priority}",
                "tags": ", ".join(f"{key}={value}" for key, value in execution.tags.items()),
                "epoch": f"{execution.epoch}, attempt {execution.attempts}",
                "owner": execution.lease_owner,
                "lease until": moment(execution.lease_expires_at),
                "created": moment(execution.created_at),
                "started": moment(execution.started_at),
                "finished": moment(execution.finished_at),
                "deadline": moment(execution.deadline_at),
                "cancel": execution.cancel_reason,
                "error": None
                if execution.error is None
                else f"{execution.error['type']}: {execution.error['message']}",
                "input": whole(document["input"]),
                "output": None if execution.output is None else whole(document["output"]),
                "waits for": "\n".join(
                    f"{interrupt.kind} {interrupt.id} ({interrupt.status}) at {interrupt.step_key}"
                    for interrupt in waits
                ),
            },
        )

    session.output.write(document, text)


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
        length, broken = _verified_length(handle) if verify else (0, None)
        try:
            records = handle.history()
        except CorruptPayload as exc:
            raise broken or exc from exc
        head = records[length - 1].digest.hex() if length else ""
        execution = handle.execution()
    verified: dict[str, Any] | None = {"length": length, "head": head} if length else None
    document = {"execution_id": id_, "records": [plain.record(record) for record in records], "verified": verified}
    lines = histories.lines(records, gone=_is_gone(execution))

    def text(console: Any) -> None:
        console.print(histories.shown(histories.brief(lines) if brief else lines))
        if verified is not None:
            console.print(f"the chain of {verified['length']} records is intact, its head is {head[:16]}")

    session.output.write(document, text)
    if broken is not None:
        raise broken


def _verified_length(handle: Handle) -> tuple[int, JournalCorrupt | None]:
    try:
        return handle.verify(), None
    except JournalCorrupt as exc:
        return 0, exc


def _is_gone(execution: Execution) -> bool:
    """True if the process that drives the execution is known to be dead."""
    return execution.status == "running" and is_dead(execution.lease_owner or "")


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
        _show_state(session, handle, "is asked to end; its worker does so before the next step")


def retry(session: Session, id_: Id) -> None:
    """Let an execution that failed, died or waits run again; what had finished is not run again."""
    with session.runtime() as runtime:
        handle = runtime.get(id_)
        handle.retry()
        _show_state(session, handle, "")


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
        _show_started(session, load_runtime(app, session).get(id_).fork(at=at, id=new))
        return
    with session.runtime() as runtime:
        _show_started(session, runtime.get(id_).fork(at=at, id=new))


def _show_state(session: Session, handle: Handle, if_running: str) -> None:
    execution = handle.execution()
    note = f" ({if_running})" if execution.status == "running" and if_running else ""
    if execution.status == "pending" and execution.cancel_reason is not None:
        note = " (is asked to end; a worker of its app undoes what it has done first)"
    session.output.write(
        plain.execution(execution), lambda console: console.print(clean(f"{execution.id} {execution.status}{note}"))
    )
