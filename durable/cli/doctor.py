"""``durable doctor``: is everything here as it should be, and if not, what to do."""

from contextlib import closing
from dataclasses import asdict
from typing import Any

import typer

from durable.cli import checks
from durable.cli.render import cell, status, table
from durable.cli.session import Session
from durable.errors import DurableError


def diagnose(session: Session) -> None:
    """Check Python, packages, the database, clocks, workers and open doubts. Exit 1 if something is broken."""
    found = [checks.python(), *checks.packages(), *checks.start_costs(), *_database(session)]
    broken = any(one.status == "fail" for one in found)
    made = table("", "check", "found", "remedy", fixed=("", "check"))
    for one in found:
        made.add_row(status(one.status), cell(one.name), cell(one.found), cell(one.remedy))
    told: dict[str, Any] = {"ok": not broken, "checks": [asdict(one) for one in found]}
    session.output.tell(told, lambda console: console.print(made))
    if broken:
        raise typer.Exit(1)


def _database(session: Session) -> list[checks.Check]:
    try:
        with closing(session.database()) as db:
            return checks.database(db, session.namespace)
    except DurableError as exc:
        return [checks.Check("fail", "database", type(exc).__name__, str(exc))]
