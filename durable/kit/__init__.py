"""Kit: what an adapter is made of. A framework keeps its own loop; the kit does what is not the framework's."""

from __future__ import annotations

from durable.kit.code_drift import Difference, compare
from durable.kit.commits import commit, owner_of
from durable.kit.driving import Drive, driving, each_within
from durable.kit.hooks import hook
from durable.kit.opening import Invocation, find_open, opened, register, start, take
from durable.kit.pauses import Pause, answered, approves_nothing, mirror, take_answers, unanswered
from durable.kit.tool_call import Tool, always_asked, arguments_of, asks, tool_call

__all__ = [
    "Difference",
    "Drive",
    "Invocation",
    "Pause",
    "Tool",
    "always_asked",
    "answered",
    "approves_nothing",
    "arguments_of",
    "asks",
    "commit",
    "compare",
    "driving",
    "each_within",
    "find_open",
    "hook",
    "mirror",
    "opened",
    "owner_of",
    "register",
    "start",
    "take",
    "take_answers",
    "tool_call",
    "unanswered",
]
