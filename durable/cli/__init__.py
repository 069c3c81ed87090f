"""Command line ``durable``. Only this package imports typer and rich.

Exit codes: 0 done, 1 refused (the reason is on stderr), 2 wrong usage.
"""

from __future__ import annotations

import sys

import typer

from durable.cli import approvals, database, doctor, executions, worker
from durable.cli.session import verb

app = typer.Typer(
    name="durable",
    help="Durable executions: run workers, look at what happened, decide what waits for a person.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
inbox = typer.Typer(help="The inbox: what executions wait for, and the decisions on it.", no_args_is_help=True)
storage = typer.Typer(help="The database: its schema, and whether what is stored is sound.", no_args_is_help=True)

app.command("worker")(verb(worker.work))
app.command("start")(verb(executions.start))
app.command("list")(verb(executions.list_all))
app.command("show")(verb(executions.show))
app.command("history")(verb(executions.history))
app.command("cancel")(verb(executions.cancel))
app.command("retry")(verb(executions.retry))
app.command("fork")(verb(executions.fork))
app.add_typer(inbox, name="approvals")
inbox.command("list")(verb(approvals.list_all))
inbox.command("approve")(verb(approvals.approve))
inbox.command("edit")(verb(approvals.edit))
inbox.command("reject")(verb(approvals.reject))
inbox.command("respond")(verb(approvals.respond))
inbox.command("delegate")(verb(approvals.delegate))
app.command("resolve")(verb(approvals.resolve))
app.add_typer(storage, name="db")
storage.command("upgrade")(verb(database.upgrade))
storage.command("check")(verb(database.check))
app.command("doctor")(verb(doctor.diagnose))


def main() -> None:
    """Run ``durable``, also for ``python -m durable``."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    app(prog_name="durable")
