"""One way to the database for what this adapter keeps: with the journal of the execution that runs here, or alone.

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
    """The execution that runs here, if it is one of this runtime's database."""
    here = segment()
    return here if here is not None and here.runtime.database is runtime.database else None


def commit(runtime: Runtime, about: Event, change: Callable[[Any], T]) -> T:
    """Run ``change(connection)`` in one transaction with its record, or in one of its own; it may be tried again."""
    owner = owner_of(runtime)
    if owner is None:
        return runtime.database.transact(change)
    found: list[T] = []  # a companion that is tried again leaves its last answer last
    owner.append(about.pack(), companions=[lambda connection: found.append(change(connection))])
    return found[-1]
