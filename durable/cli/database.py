"""Upgrade the database's schema, and check what is stored."""

from contextlib import closing
from typing import Any

from durable.checkpoint import health, migrations
from durable.cli.render import clean, fields
from durable.cli.session import Session
from durable.errors import JournalCorrupt


def upgrade(session: Session) -> None:
    """Make the database, or bring its schema to the version of this release. Safe with any number of processes."""
    with closing(session.database(create=True)) as db:
        before = migrations.current(db)
        migrations.upgrade(db)
        where = db.url.render_as_string(hide_password=True)
    document = {"database": where, "from": before, "to": migrations.HEAD, "changed": before != migrations.HEAD}
    change = (
        f"is at version {migrations.HEAD}" if before == migrations.HEAD else f"{before or 'new'} -> {migrations.HEAD}"
    )
    session.output.write(document, lambda console: console.print(f"{where}: {change}"))


def check(session: Session) -> None:
    """Verify the file, the digest chain of every journal and every blob, and count what there is; all namespaces."""
    with closing(session.database()) as db:
        version = migrations.current(db)
        counts: dict[str, dict[str, int]] = {}
        problems: list[str] = []
        if version != migrations.HEAD:
            problems.append(
                f"the schema has version {version or 'none'}, {migrations.HEAD} is needed: durable db upgrade"
            )
        else:
            with db.read() as connection:
                counts = health.counts(connection)
            problems.extend(health.problems(db))
        where = db.url.render_as_string(hide_password=True)
    document = {"database": where, "schema": version, "head": migrations.HEAD, "counts": counts, "problems": problems}

    def text(console: Any) -> None:
        rows = {name: _counted(of) for name, of in counts.items()}
        fields(console, {"database": where, "schema": version, **rows})
        for problem in problems:
            console.print(f"PROBLEM {clean(problem)}", style="bold red")

    session.output.write(document, text)
    if problems:
        msg = f"{len(problems)} problems found; restore a backup, or look at them with `durable history --verify`"
        raise JournalCorrupt(msg)


def _counted(numbers: dict[str, int]) -> str:
    return (
        ", ".join(str(number) if status == "total" else f"{number} {status}" for status, number in numbers.items())
        or "0"
    )
