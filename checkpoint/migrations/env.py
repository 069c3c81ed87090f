"""Run by alembic around each migration: on the connection, and in the transaction, that ``upgrade`` has opened."""

from __future__ import annotations

from alembic import context

from durable.checkpoint.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
