"""Kit: what an adapter is made of. A framework keeps its own loop; the kit does what is not the framework's.

    opening, driving    which execution a call belongs to, and how it ends
    model_call, tool_call    what a framework says of a call, as a step
    pauses, code_drift    questions of the framework's own in the one inbox, and code that differs from the record
    waiting, hooks, commits    calls side by side, private seams, state that commits with the journal

What stands on the floors below and every adapter needs is named here too.
"""

from __future__ import annotations

from durable.declare.signature import policy_of
from durable.inbox.schemas import lenient
from durable.kit.code_drift import Difference, compare
from durable.kit.commits import commit, owner_of
from durable.kit.driving import Drive, driving, each_within
from durable.kit.hooks import hook
from durable.kit.model_call import model_call
from durable.kit.opening import Invocation, find_open, opened, register, start, take
from durable.kit.pauses import Pause, answered, approves_nothing, mirror, take_answers, unanswered
from durable.kit.tool_call import Tool, always_asked, arguments_of, asks, tool_call
from durable.kit.waiting import others_first
from durable.live.scope import here, root, scope, within
from durable.live.segment import Segment
from durable.step.call import Pending
from durable.step.shells import run_step, run_step_async

__all__ = [
    "Difference",
    "Drive",
    "Invocation",
    "Pause",
    "Pending",
    "Segment",
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
    "here",
    "hook",
    "lenient",
    "mirror",
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
    "take_answers",
    "tool_call",
    "unanswered",
    "within",
]
