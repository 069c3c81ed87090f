"""Initial schema: executions and their journal, what comes from outside, blobs, snapshots, rates and circuits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.String(255)
KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
AUTO = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN_THREAD = sa.text("thread IS NOT NULL AND status IN ('pending', 'running', 'suspended')")
HAS_RUN = sa.text("run IS NOT NULL")


def upgrade() -> None:
    _create_executions()
    _create_journal()
    _create_interrupts()
    _create_signals()
    _create_blobs()
    _create_snapshots()
    _create_snapshot_values()
    _create_snapshot_writes()
    _create_snapshot_pieces()
    _create_rates_and_circuits()


def _create_executions() -> None:
    op.create_table(
        "executions",
        sa.Column("id", ID, nullable=False),
        sa.Column("namespace", ID, nullable=False),
        sa.Column("app", ID, nullable=False),
        sa.Column("app_version", ID),
        sa.Column("thread", ID),
        sa.Column("queue", ID, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("input", sa.LargeBinary(), nullable=False),
        sa.Column("input_digest", sa.String(64), nullable=False),
        sa.Column("output", sa.LargeBinary()),
        sa.Column("error", sa.Text()),
        sa.Column("epoch", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lease_owner", ID),
        sa.Column("lease_expires_at", sa.Double()),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("run_after", sa.Double()),
        sa.Column("waits_for", sa.Text()),
        sa.Column("deadline_at", sa.Double()),
        sa.Column("cancel_reason", sa.Text()),
        sa.Column("compensate", sa.Boolean()),
        sa.Column("parent", ID),
        sa.Column("correlation_id", ID),
        sa.Column("tags", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("traceparent", sa.String(64)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_executions"),
    )
    op.create_index("ix_executions_created", "executions", ["namespace", "created_at"])
    op.create_index("ix_executions_runnable", "executions", ["namespace", "queue", "status", "run_after"])
    op.create_index(
        "uq_executions_open_thread",
        "executions",
        ["namespace", "app", "thread"],
        unique=True,
        sqlite_where=OPEN_THREAD,
        postgresql_where=OPEN_THREAD,
    )


def _create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("execution_id", ID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("step_key", sa.Text()),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "seq", name="pk_journal"),
        sqlite_with_rowid=False,
    )


def _create_interrupts() -> None:
    op.create_table(
        "interrupts",
        sa.Column("id", ID, nullable=False),
        sa.Column("namespace", ID, nullable=False),
        sa.Column("execution_id", ID, nullable=False),
        sa.Column("step_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("tool", ID),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("arguments_hash", sa.String(64)),
        sa.Column("rule", sa.Text()),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("decision", sa.LargeBinary()),
        sa.Column("decided_by", ID),
        sa.Column("decided_at", sa.Double()),
        sa.Column("comment", sa.Text()),
        sa.Column("expires_at", sa.Double()),
        sa.Column("required", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("votes", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("terms", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name="fk_interrupts_execution_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_interrupts"),
    )
    op.create_index("ix_interrupts_execution_id", "interrupts", ["execution_id"])
    op.create_index("ix_interrupts_inbox", "interrupts", ["namespace", "status", "created_at"])


def _create_signals() -> None:
    op.create_table(
        "signals",
        sa.Column("id", AUTO, autoincrement=True, nullable=False),
        sa.Column("execution_id", ID, nullable=False),
        sa.Column("name", ID, nullable=False),
        sa.Column("sent_as", ID),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("consumed_at", sa.Double()),
        sa.UniqueConstraint("execution_id", "sent_as", name="uq_signals_sent_as"),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name="fk_signals_execution_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_signals"),
    )
    op.create_index("ix_signals_waiting", "signals", ["execution_id", "name", "id"])


def _create_blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_blobs"),
    )


def _create_snapshots() -> None:
    op.create_table(
        "snapshots",
        sa.Column("namespace", ID, nullable=False),
        sa.Column("thread", KEY, nullable=False),
        sa.Column("ns", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("parent", KEY),
        sa.Column("run", KEY),
        sa.Column("channels", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "thread", "ns", "id", name="pk_snapshots"),
    )
    op.create_index(
        "ix_snapshots_run", "snapshots", ["namespace", "run"], sqlite_where=HAS_RUN, postgresql_where=HAS_RUN
    )


def _create_snapshot_values() -> None:
    op.create_table(
        "snapshot_values",
        sa.Column("namespace", ID, nullable=False),
        sa.Column("thread", KEY, nullable=False),
        sa.Column("ns", KEY, nullable=False),
        sa.Column("channel", KEY, nullable=False),
        sa.Column("version", KEY, nullable=False),
        sa.Column("cell", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "thread", "ns", "channel", "version", name="pk_snapshot_values"),
    )


def _create_snapshot_writes() -> None:
    op.create_table(
        "snapshot_writes",
        sa.Column("namespace", ID, nullable=False),
        sa.Column("thread", KEY, nullable=False),
        sa.Column("ns", KEY, nullable=False),
        sa.Column("snapshot", KEY, nullable=False),
        sa.Column("task", KEY, nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("task_path", KEY, nullable=False),
        sa.Column("channel", KEY, nullable=False),
        sa.Column("cell", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "thread", "ns", "snapshot", "task", "idx", name="pk_snapshot_writes"),
        sqlite_with_rowid=False,
    )


def _create_snapshot_pieces() -> None:
    op.create_table(
        "snapshot_pieces",
        sa.Column("namespace", ID, nullable=False),
        sa.Column("thread", KEY, nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.Column("piece", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "thread", "digest", name="pk_snapshot_pieces"),
    )


def _create_rates_and_circuits() -> None:
    op.create_table(
        "rates",
        sa.Column("namespace", ID, nullable=False),
        sa.Column("name", ID, nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("turn_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", name="pk_rates"),
    )
    op.create_table(
        "circuits",
        sa.Column("namespace", ID, nullable=False),
        sa.Column("name", ID, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.Double()),
        sa.PrimaryKeyConstraint("namespace", "name", name="pk_circuits"),
    )
