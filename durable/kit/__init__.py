"""Kit: what an adapter is made of. A framework keeps its own loop; the kit does what is not the framework's.

    opening, driving    which execution a call belongs to, and how it ends
    model_call, tool_call    what a framework says of a call, as a step
    waiting, hooks, commits    calls side by side, private seams, state that commits with the journal

What stands on the floors below and every adapter needs is named here too.
"""

from __future__ import annotations

from durable.declare.signature import policy_of
from durable.inbox.schemas import lenient
from durable.kit.commits import commit, owner_of
from durable.kit.driving import Drive, driving, each_within
from durable.kit.hooks import hook
from durable.kit.model_call import model_call
from durable.kit.opening import Invocation, find_open, opened, register, start, take
from durable.kit.tool_call import Tool, always_asked, arguments_of, asks, tool_call
from durable.kit.waiting import others_first
from durable.live.scope import here, root, scope, within
from durable.live.segment import Segment
from durable.step.call import Pending
from durable.step.shells import run_step, run_step_async

__all__ = [
    "Drive",
    "Invocation",
    "Pending",
    "Segment",
    "Tool",
    "always_asked",
    "arguments_of",
    "asks",
    "commit",
    "driving",
    "each_within",
    "find_open",
    "here",
    "hook",
    "lenient",
    "model_call",
    "opened",
    "others_first",
    "owner_of",
    "policy_of",
    "register",
    "root",
    "run_step",
    "run_step_async",
    "scope",
    "start",
    "take",
    "tool_call",
    "within",
]
