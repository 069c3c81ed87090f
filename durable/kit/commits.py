"""Commits: what an adapter keeps is written with the journal of the execution that runs here, or alone.

Inside an execution the change and its record commit in one transaction, and an owner that has lost its claim gets
LeaseLost with nothing written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from durable.live.scope import segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.live.segment import Segment
    from durable.record.events import Event
    from durable.runtime import Runtime

T = TypeVar("T")


def owner_of(runtime: Runtime) -> Segment | None:
    """Return the execution that runs here, if it is one of this runtime's database."""
    owner = segment()
    return owner if owner is not None and owner.runtime.database is runtime.database else None


def commit(runtime: Runtime, about: Event, change: Callable[[Any], T], *, owner: Segment | None) -> T:
    """Run ``change(connection)`` in one transaction with its record, or, without an owner, in one of its own. Blocks.

    It may be tried again; what the last try returned is returned. Raises LeaseLost, StorageError.
    """
    if owner is None:
        return runtime.database.transact(change)
    results: list[T] = []
    owner.append(about.pack(), companions=[lambda connection: results.append(change(connection))])
    return results[-1]
