"""Map of the database.

``executions`` is one row per execution: who owns it, what it waits for, how it ended. ``journal`` is what happened in
it, append-only; its primary key is the fence between workers. What comes from outside an execution never writes its
journal: it is a row in ``interrupts`` (questions and their decisions) or ``signals``, or a flag on ``executions``, and
the owner takes it into the journal once. ``blobs`` are payloads too large to stand inline, by content.

``snapshots`` are a framework's saved states of a thread, each with its parent; ``snapshot_values`` what a channel held
at a version, ``snapshot_writes`` what tasks have written on top of a snapshot, ``snapshot_pieces`` the large values and
parts of lists that both refer to, by content.

``session_heads`` are conversations: each counts its own changes in ``revision``. (Not ``sessions``: services of
frameworks have tables of that name.) ``session_items`` are what was said, by the revision at which it came; what was
taken back keeps its row with ``gone``, the revision at which it went.
``session_state`` is key and value by scope: of a session, a user, an app.

``rates`` and ``circuits`` are what the workers know together of the things they call: how often, and whether in vain.

Instants (``*_at``, ``run_after``) are epoch seconds on the database's clock.
"""

from __future__ import annotations

from sqlalchemy import (
    TEXT,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

ID = String(255)
AUTO = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts by itself only for a column declared exactly INTEGER PRIMARY KEY."""

KEY = Text().with_variant(TEXT(collation="C"), "postgresql")
"""A name given by a framework: any length, compared as Python compares strings, whatever the server's locale."""

OPEN = ("pending", "running", "suspended")
"""Statuses of an execution that has not ended."""

executions = Table(
    "executions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("namespace", ID, nullable=False),
    Column("app", ID, nullable=False),
    Column("app_version", ID),
    Column("thread", ID),
    Column("queue", ID, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("input", LargeBinary, nullable=False),
    Column("input_digest", String(64), nullable=False),
    Column("output", LargeBinary),
    Column("error", Text),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("lease_owner", ID),
    Column("lease_expires_at", Double),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("run_after", Double),
    Column("waits_for", Text),
    Column("deadline_at", Double),
    Column("cancel_reason", Text),
    Column("compensate", Boolean),
    Column("parent", ID),
    Column("correlation_id", ID),
    Column("tags", Text, nullable=False, server_default="{}"),
    Column("traceparent", String(64)),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Index("ix_executions_runnable", "namespace", "queue", "status", "run_after"),
    Index("ix_executions_created", "namespace", "created_at"),
    Index(
        "uq_executions_open_thread",
        "namespace",
        "app",
        "thread",
        unique=True,
        sqlite_where=text("thread IS NOT NULL AND status IN ('pending', 'running', 'suspended')"),
        postgresql_where=text("thread IS NOT NULL AND status IN ('pending', 'running', 'suspended')"),
    ),
)

journal = Table(
    "journal",
    metadata,
    Column("execution_id", ID, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("step_key", Text),
    Column("at", Double, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
)

interrupts = Table(
    "interrupts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("namespace", ID, nullable=False),
    Column("execution_id", ID, ForeignKey("executions.id", ondelete="CASCADE"), nullable=False),
    Column("step_key", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("tool", ID),
    Column("subject", LargeBinary, nullable=False),
    Column("arguments_hash", String(64)),
    Column("rule", Text),
    Column("status", String(16), nullable=False),
    Column("decision", LargeBinary),
    Column("decided_by", ID),
    Column("decided_at", Double),
    Column("comment", Text),
    Column("expires_at", Double),
    Column("required", Integer, nullable=False, server_default="1"),
    Column("votes", Text, nullable=False, server_default="[]"),
    Column("terms", Text, nullable=False, server_default="{}"),
    Column("created_at", Double, nullable=False),
    Index("ix_interrupts_inbox", "namespace", "status", "created_at"),
    Index("ix_interrupts_execution_id", "execution_id"),
)

signals = Table(
    "signals",
    metadata,
    Column("id", AUTO, primary_key=True, autoincrement=True),
    Column("execution_id", ID, ForeignKey("executions.id", ondelete="CASCADE"), nullable=False),
    Column("name", ID, nullable=False),
    Column("sent_as", ID),
    Column("payload", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("consumed_at", Double),
    UniqueConstraint("execution_id", "sent_as", name="uq_signals_sent_as"),
    Index("ix_signals_waiting", "execution_id", "name", "id"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("namespace", ID, primary_key=True),
    Column("thread", KEY, primary_key=True),
    Column("ns", KEY, primary_key=True),
    Column("id", KEY, primary_key=True),
    Column("parent", KEY),
    Column("run", KEY),
    Column("channels", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("metadata", LargeBinary, nullable=False),
    Index(
        "ix_snapshots_run",
        "namespace",
        "run",
        sqlite_where=text("run IS NOT NULL"),
        postgresql_where=text("run IS NOT NULL"),
    ),
)

snapshot_values = Table(
    "snapshot_values",
    metadata,
    Column("namespace", ID, primary_key=True),
    Column("thread", KEY, primary_key=True),
    Column("ns", KEY, primary_key=True),
    Column("channel", KEY, primary_key=True),
    Column("version", KEY, primary_key=True),
    Column("cell", LargeBinary, nullable=False),
)

snapshot_writes = Table(
    "snapshot_writes",
    metadata,
    Column("namespace", ID, primary_key=True),
    Column("thread", KEY, primary_key=True),
    Column("ns", KEY, primary_key=True),
    Column("snapshot", KEY, primary_key=True),
    Column("task", KEY, primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("task_path", KEY, nullable=False),
    Column("channel", KEY, nullable=False),
    Column("cell", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

snapshot_pieces = Table(
    "snapshot_pieces",
    metadata,
    Column("namespace", ID, primary_key=True),
    Column("thread", KEY, primary_key=True),
    Column("digest", LargeBinary(16), primary_key=True),
    Column("piece", LargeBinary, nullable=False),
)

session_heads = Table(
    "session_heads",
    metadata,
    Column("number", AUTO, primary_key=True, autoincrement=True),
    Column("namespace", ID, nullable=False),
    Column("app", KEY, nullable=False),
    Column("user", KEY, nullable=False),
    Column("id", KEY, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("uq_session_heads_place", "namespace", "app", "user", "id", unique=True),
)

session_items = Table(
    "session_items",
    metadata,
    Column("session", BigInteger, ForeignKey("session_heads.number", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("id", KEY),
    Column("at", Double),
    Column("gone", BigInteger),
    Column("body", LargeBinary, nullable=False),
    Index("uq_session_items_id", "session", "id", unique=True),
    sqlite_with_rowid=False,
)

session_state = Table(
    "session_state",
    metadata,
    Column("namespace", ID, primary_key=True),
    Column("scope", KEY, primary_key=True),
    Column("key", KEY, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

rates = Table(
    "rates",
    metadata,
    Column("namespace", ID, primary_key=True),
    Column("name", ID, primary_key=True),
    Column("next_at", Double, nullable=False),
    Column("turn_at", Double, nullable=False),
)

circuits = Table(
    "circuits",
    metadata,
    Column("namespace", ID, primary_key=True),
    Column("name", ID, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Double),
)
