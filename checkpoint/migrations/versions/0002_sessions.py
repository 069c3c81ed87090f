"""Sessions: conversations, what was said in them, and scoped state."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.String(255)
KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
AUTO = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "session_heads",
        sa.Column("number", AUTO, autoincrement=True, nullable=False),
        sa.Column("namespace", ID, nullable=False),
        sa.Column("app", KEY, nullable=False),
        sa.Column("user", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_session_heads"),
    )
    op.create_index("uq_session_heads_place", "session_heads", ["namespace", "app", "user", "id"], unique=True)
    op.create_table(
        "session_items",
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("id", KEY),
        sa.Column("at", sa.Double()),
        sa.Column("gone", sa.BigInteger()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session"], ["session_heads.number"], name="fk_session_items_session", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session", "seq", name="pk_session_items"),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_session_items_id", "session_items", ["session", "id"], unique=True)
    op.create_table(
        "session_state",
        sa.Column("namespace", ID, nullable=False),
        sa.Column("scope", KEY, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "scope", "key", name="pk_session_state"),
        sqlite_with_rowid=False,
    )
