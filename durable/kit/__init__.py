"""Kit: what an adapter is made of. A framework keeps its own loop; the kit does what is not the framework's."""

from __future__ import annotations

from durable.kit.commits import commit, owner_of
from durable.kit.driving import Drive, driving, each_within
from durable.kit.hooks import hook
from durable.kit.opening import Invocation, find_open, opened, register, start, take
from durable.kit.waiting import others_first

__all__ = [
    "Drive",
    "Invocation",
    "commit",
    "driving",
    "each_within",
    "find_open",
    "hook",
    "opened",
    "others_first",
    "owner_of",
    "register",
    "start",
    "take",
]
