"""Compile statements of the hot path once for each dialect, then run them on the driver's own cursor.

SQLAlchemy's work around one execution takes 60 to 100 microseconds, several times what SQLite needs for the row. Here
values are bound as they are, so this is for statements with plain columns (text, numbers, bytes). Errors of the driver
are raised as SQLAlchemy's, as everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Dialect
    from sqlalchemy.sql.elements import CompilerElement


class Prepared:
    """Statement with named parameters. ``make(dialect_name)`` builds it. Thread-safe."""

    def __init__(self, make: Callable[[str], CompilerElement]) -> None:
        self._make = make
        self._compiled: dict[str, tuple[str, Sequence[str] | None]] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute once for each row, in the connection's transaction. Returns nothing."""
        if rows:
            self._execute(connection, rows).close()

    def fetch(self, connection: Connection, row: Mapping[str, Any]) -> Sequence[Any] | None:
        """Return the first row; None if there is none."""
        cursor = self._execute(connection, [row])
        first: Sequence[Any] | None = cursor.fetchone()
        cursor.close()
        return first

    def scalar(self, connection: Connection, row: Mapping[str, Any]) -> Any:
        """Return the first column of the first row; None if there is no row."""
        first = self.fetch(connection, row)
        return None if first is None else first[0]

    def _execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Any:
        dialect = connection.dialect
        sql, names = self._compiled.get(dialect.name) or self._compile(dialect)
        bound = rows if names is None else [tuple([row[name] for name in names]) for row in rows]
        return run_bare(connection, sql, bound)

    def _compile(self, dialect: Dialect) -> tuple[str, Sequence[str] | None]:
        compiled: Any = self._make(dialect.name).compile(dialect=dialect)
        self._compiled[dialect.name] = (str(compiled), compiled.positiontup)
        return self._compiled[dialect.name]


def run_bare(connection: Connection, sql: str, rows: Sequence[Any] = ((),)) -> Any:
    """Run a statement on the driver's own cursor and return the cursor. Raises SQLAlchemy's error for the driver's."""
    cursor = connection.connection.cursor()
    base: type[Exception] = connection.dialect.loaded_dbapi.Error
    try:
        if len(rows) == 1:
            cursor.execute(sql, rows[0])
        else:
            cursor.executemany(sql, rows)
    except base as exc:
        cursor.close()
        options: dict[str, Any] = {"hide_parameters": True, "dialect": connection.dialect}
        raise cast("DBAPIError", DBAPIError.instance(sql, None, exc, base, **options)) from exc
    return cursor
