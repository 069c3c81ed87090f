"""Rows of a database as lines of JSON, and back.

A line is ``{"table": ..., "row": {...}}``; bytes are ``{"base64": ...}``. The tables are those that the database has,
in an order in which a row comes after those it refers to. Of the table of the schema's version only the version is kept:
rows are loaded into a schema of that version, which the library then brings up to date as it does with any database.
"""

from __future__ import annotations

import base64
import json
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, create_engine, func, insert, select, text

from durable.checkpoint import migrations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

VERSION = "durable_schema"
_known: dict[tuple[str, str], MetaData] = {}
"""The tables of a schema's version in a kind of database, looked up once a process."""


def dump(url: str, path: Path, about: dict[str, Any]) -> None:
    """Write all rows of a database; the first line tells ``about`` them, with the version of the schema."""
    engine = create_engine(url)
    with engine.connect() as connection:
        lines = [{**about, "schema": connection.execute(text(f"SELECT version_num FROM {VERSION}")).scalar()}]
        lines += _rows(connection)
    engine.dispose()
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def about(path: Path) -> dict[str, Any]:
    """Return what the first line of a file tells about its rows."""
    with path.open(encoding="utf-8") as lines:
        return json.loads(next(lines))


def load(path: Path, url: str) -> None:
    """Insert the rows of a file into an empty database, with the tables of the version that wrote them."""
    version = about(path)["schema"]
    engine = create_engine(url)
    with engine.begin() as connection:
        _make_tables(connection, version)
        place = (connection.dialect.name, version)
        tables = _known[place] = _known.get(place) or _tables(connection)
        lines = map(json.loads, path.read_text(encoding="utf-8").splitlines()[1:])
        for name, stored in groupby(lines, key=itemgetter("table")):
            rows = [{key: _from_json(value) for key, value in line["row"].items()} for line in stored]
            connection.execute(insert(tables.tables[name]), rows)
        _count_on(connection, tables)
    engine.dispose()


def _make_tables(connection: Connection, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def _tables(connection: Connection) -> MetaData:
    tables = MetaData()
    tables.reflect(connection, only=lambda name, _: name != VERSION)
    return tables


def _rows(connection: Connection) -> Iterator[dict[str, Any]]:
    for table in _tables(connection).sorted_tables:
        for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings():
            yield {"table": table.name, "row": {name: _to_json(value) for name, value in row.items()}}


def _count_on(connection: Connection, tables: MetaData) -> None:
    """Let PostgreSQL number new rows after those inserted with their numbers, as SQLite does by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables.sorted_tables:
        for column in table.columns:
            if column.identity or "nextval" in str(column.server_default.arg if column.server_default else ""):
                highest = connection.execute(select(func.max(column))).scalar()
                if highest is not None:
                    sequence = func.pg_get_serial_sequence(table.name, column.name)
                    connection.execute(select(func.setval(sequence, highest)))


def _to_json(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _from_json(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
