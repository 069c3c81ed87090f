"""Renew what a process must not share with the one that it was forked from: connections, locks, threads, its name.

A server that makes its runtime at import and forks its workers (gunicorn --preload, Celery) gets that in each child.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

_ALL: weakref.WeakSet[Renewed] = weakref.WeakSet()


class Renewed(Protocol):
    """Something that is made anew in a forked child."""

    def after_fork(self) -> None:
        """Let go of what belongs to the parent, without closing it."""


def renew_after_fork(thing: Renewed) -> None:
    """Call ``thing.after_fork()`` in each child that this process forks, for as long as it lives."""
    _ALL.add(thing)


def _in_child() -> None:
    for thing in tuple(_ALL):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_in_child)
