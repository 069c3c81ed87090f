"""Fixtures of the governance suite: databases that come migrated."""

from __future__ import annotations

from tests.templates import migrated_postgres_url, migrated_sqlite_url, postgres_template, sqlite_template

__all__ = ["migrated_postgres_url", "migrated_sqlite_url", "postgres_template", "sqlite_template"]
