"""Diagnose (``durable doctor``): is everything as it should be here, and if not, what to do."""

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
    findings = [checks.python(), *checks.packages(), *checks.start_costs(), *_database(session)]
    broken = any(finding.status == "fail" for finding in findings)
    rows = table("", "check", "found", "remedy", fixed=("", "check"))
    for finding in findings:
        rows.add_row(status(finding.status), cell(finding.name), cell(finding.found), cell(finding.remedy))
    document: dict[str, Any] = {"ok": not broken, "checks": [asdict(finding) for finding in findings]}
    session.output.write(document, lambda console: console.print(rows))
    if broken:
        raise typer.Exit(1)


def _database(session: Session) -> list[checks.Check]:
    try:
        with closing(session.database()) as db:
            return checks.database(db, session.namespace)
    except DurableError as exc:
        return [checks.Check("fail", "database", type(exc).__name__, str(exc))]
