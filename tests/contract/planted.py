"""Bugs for the negative controls, one for each property: planted in the processes of a place, never in this one."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from durable.checkpoint.journal import journal
from durable.live import past
from durable.record import keys
from durable.run import open as opening
from durable.run import worker as working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from durable import Record

_BELIEVE = journal.believe


def _reading(keep: Callable[[Record], bool]) -> None:
    """Let what a claim reads of its journal lack some records."""

    def read(*args: Any, **options: Any) -> Iterable[Record]:
        return [record for record in _BELIEVE(*args, **options) if keep(record)]

    journal.believe = read  # type: ignore[assignment]  # a bug


def forgets_reads() -> None:
    """What was drawn is not remembered after a crash."""
    _reading(lambda record: record.kind != "step_done" or record.meta.get("effect") != "read")


def forgets_that_a_call_began() -> None:
    """A call that had begun is taken for one that had not."""
    _reading(lambda record: record.kind != "step_started")


def forgets_where_it_is_from() -> None:
    """A fork does not look at what was done beyond its point."""
    past.beyond = lambda *_: []  # type: ignore[assignment]  # a bug


def writes_another_digest() -> None:
    """The chain of digests is not that of the records."""
    journal.digest_of = lambda *_: secrets.token_bytes(32)  # type: ignore[assignment]  # a bug


def takes_the_living_for_dead() -> None:
    """Each owner is taken for one that is gone, and what it has begun for not begun."""
    for room in (opening, working):
        room.is_dead = lambda _: True  # type: ignore[assignment]  # a bug
    forgets_that_a_call_began()


def makes_keys_by_chance() -> None:
    """An idempotency key is another one in each process."""
    keys.key_for = lambda *_: secrets.token_hex(8)  # type: ignore[assignment]  # a bug


PLANTED: dict[str, tuple[str, Callable[[], None]]] = {
    "prefix continuation": ("before pay", forgets_reads),
    "effect exactly once": ("after pay", forgets_that_a_call_began),
    "fork determinism": ("", forgets_where_it_is_from),
    "checkpoint validity": ("after reserve", writes_another_digest),
    "consume once": ("by 4", takes_the_living_for_dead),
    "recovery determinism": ("before reserve", makes_keys_by_chance),
}
"""Of each property, the way in which it is tried and the bug that must break it."""
