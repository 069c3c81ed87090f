"""Fixtures of the storage tests: a migrated database, and an execution in it to write about."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from durable.checkpoint import claims, executions
from durable.checkpoint.claims import Owner
from durable.checkpoint.codec.codec import Codec
from durable.checkpoint.database import Database
from durable.checkpoint.executions import NewExecution
from durable.checkpoint.journal import journal
from durable.checkpoint.journal.journal import Journal
from durable.checkpoint.journal.writer import Writer
from tests.templates import *  # noqa: F403 - fixtures

CODEC = Codec()


@dataclass
class Store:
    """One process's way to a database."""

    db: Database
    opened: list[Database] = field(default_factory=list)

    def __post_init__(self):
        self.writer = Writer(self.db)
        self.opened.append(self.db)

    def process(self, **options):
        """Another process on the same database."""
        url = self.db.url.render_as_string(hide_password=False)
        return Store(Database(url, **options), self.opened)

    def start(self, execution_id="e", **changes):
        """An execution, as ``executions.start`` takes it; the input is ``changes["input"]`` as it is."""
        given = changes.pop("input", b"1")
        fields = {"namespace": "default", "app": "app", "input": given, "input_digest": given.hex()[:64], **changes}
        new = NewExecution(id=execution_id, **fields)
        return self.db.transact(lambda connection: executions.start(self.db, connection, new))

    def claim(self, execution_id="e", owner="me", ttl=30.0, **options):
        """The journal of an execution claimed now."""
        epoch, head = self.db.transact(
            lambda connection: claims.claim(self.db, connection, "default", execution_id, Owner(owner, ttl), **options)
        )
        return Journal(self.writer, self.db, execution_id, epoch=epoch, head=head, load=CODEC.decode)

    def get(self, execution_id="e"):
        with self.db.read() as connection:
            return executions.get(connection, "default", execution_id, CODEC.decode)

    def records(self, execution_id="e"):
        with self.db.read() as connection:
            return journal.read(connection, execution_id, CODEC.decode)

    def verify(self, execution_id="e"):
        with self.db.read() as connection:
            return journal.verify(connection, execution_id)

    def do(self, change, *args, **options):
        """One call of a storage function in a transaction of its own."""
        return self.db.transact(lambda connection: change(connection, *args, **options))


@pytest.fixture
def store(migrated_url):
    made = Store(Database(migrated_url))
    yield made
    for database in made.opened:
        database.close()


@pytest.fixture
def claimed(store):
    """The journal of execution ``e``, claimed: its head is record 2."""
    store.start()
    return store.claim()


def encoded(value):
    return json.dumps({"v": 1, "d": value}).encode()
