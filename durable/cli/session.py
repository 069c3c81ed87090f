"""Share what every verb needs: which database, which namespace, which form of output, and how a refusal ends.

A DurableError is a refusal: its message goes to stderr and the exit code is 1, without a traceback.
"""

import functools
import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import typer

from durable.checkpoint import health, migrations
from durable.checkpoint.codec.view import view
from durable.checkpoint.database import Database
from durable.checkpoint.state import blobs
from durable.cli.render import Output
from durable.errors import DurableError, InvalidConfiguration
from durable.runtime import DEFAULT_URL, Runtime

Url = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", help="The database; else $DURABLE_URL, else sqlite:///durable.db here."),
]
Namespace = Annotated[str, typer.Option("--namespace", metavar="NAME", help="The namespace to work in.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


class ViewingRuntime(Runtime):
    """Runtime that knows none of your types: what is stored is shown as plain JSON."""

    def load(self, stored: bytes) -> Any:
        """Return the stored value as it can be shown. Raises JournalCorrupt if its blob is missing."""
        return view(blobs.fetch(self.database, stored))


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command line."""

    url: str | None
    namespace: str
    output: Output

    def database(self, *, create: bool = False) -> Database:
        """Return the database, not yet connected.

        Raises InvalidConfiguration if it would have to be created and may not.
        """
        db = Database(self.url or os.environ.get("DURABLE_URL") or DEFAULT_URL)
        missing = health.missing_file(db)
        if missing is not None and not create:
            msg = (
                f"there is no database at {missing}; point --db or $DURABLE_URL at yours, "
                "or make a new one with `durable db upgrade`"
            )
            raise InvalidConfiguration(msg)
        return db

    @contextmanager
    def runtime(self, *, create: bool = False, roles: Mapping[str, Sequence[str]] | None = None) -> Iterator[Runtime]:
        """Yield a runtime for this one call. A schema that is behind is not upgraded by looking at it."""
        db = self.database(create=create)
        try:
            version = migrations.current(db)
            if not create and (version is None or (version in migrations.KNOWN and version != migrations.HEAD)):
                msg = (
                    f"the schema has version {version or 'none'}, {migrations.HEAD} is needed: run `durable db upgrade`"
                )
                raise InvalidConfiguration(msg)
            yield ViewingRuntime(database=db, namespace=self.namespace, roles=roles)
        finally:
            db.close()


def verb(fn: Callable[..., None]) -> Callable[..., None]:
    """Return a command of ``fn(session, **options)``, with --db, --namespace and --json added to its options."""

    @functools.wraps(fn, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def command(*, db: Url = None, namespace: Namespace = "default", json: Json = False, **options: Any) -> None:
        output = Output(as_json=json)
        try:
            fn(Session(db, namespace, output), **options)
        except DurableError as exc:
            output.refused(exc)
            raise typer.Exit(1) from exc

    shared = [p for p in inspect.signature(command, follow_wrapped=False).parameters.values() if p.name != "options"]
    own = list(inspect.signature(fn).parameters.values())[1:]
    command.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]  # what typer reads
    command.__annotations__ = {p.name: p.annotation for p in [*own, *shared]}
    del command.__wrapped__  # typer must not look behind the signature
    return command


def parsed(text: str, label: str) -> Any:
    """Return JSON from the command line, from a file (``@path``) or from stdin (``-``).

    Anything else is wrong usage.
    """
    try:
        if text == "-":
            text = typer.get_text_stream("stdin").read()
        elif text.startswith("@"):
            with open(text[1:], encoding="utf-8") as file:  # noqa: PTH123 - a path as typed
                text = file.read()
        return json.loads(text)
    except OSError as exc:
        msg = f"{label}: {exc}"
        raise typer.BadParameter(msg) from exc
    except ValueError as exc:
        msg = f"{label} is not JSON ({exc}); a string needs its quotes: '\"text\"'"
        raise typer.BadParameter(msg) from exc


def pairs(options: list[str] | None, label: str) -> dict[str, str]:
    """Return ``key=value`` options as a dict. Anything else is wrong usage."""
    values = {}
    for option in options or ():
        key, equals, value = option.partition("=")
        if not equals or not key:
            msg = f"{label} {option!r} is not of the form key=value"
            raise typer.BadParameter(msg)
        values[key] = value
    return values


def one_of(choices: Any) -> str:
    """Return the values of a Literal, as a list for people."""
    return ", ".join(get_args(choices))


def chosen(value: str, choices: Any, label: str) -> None:
    """Refuse a value that is none of a Literal's: wrong usage."""
    if value not in get_args(choices):
        msg = f"{label} {value!r} is not one of {one_of(choices)}"
        raise typer.BadParameter(msg)


def person(by: str | None) -> str:
    """Return who decides: as given, else the user of this machine. Wrong usage if neither is known."""
    name = by or os.environ.get("USER") or os.environ.get("LOGNAME")
    if not name:
        msg = "who decides? The history keeps the name: give --by NAME, or set $USER"
        raise typer.BadParameter(msg)
    return name
