"""Kit: what an adapter is made of. A framework keeps its own loop; the kit does what is not the framework's.

An adapter hooks the framework where it runs a tool, a model and a node (``hook``), makes each call a step
(``tool_call``, ``model_call``, ``run_step``), opens and drives an execution around the framework's entry (``start``,
``take``, ``driving``), and lets the framework's own pauses be answered in the inbox (``mirror``, ``take_answers``).
"""

from __future__ import annotations

from durable.declare.policy import READ
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
from durable.live.scope import Scope, here, root, scope, within
from durable.live.segment import Segment
from durable.run.handle import outcome
from durable.step.ahead import decided_ahead
from durable.step.call import Call, Pending, Placed
from durable.step.crossing import place, run_step, run_step_async, stream_step, stream_step_async

__all__ = [
    "READ",
    "Call",
    "Difference",
    "Drive",
    "Invocation",
    "Pause",
    "Pending",
    "Placed",
    "Scope",
    "Segment",
    "Tool",
    "always_asked",
    "answered",
    "approves_nothing",
    "arguments_of",
    "asks",
    "commit",
    "compare",
    "decided_ahead",
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
    "outcome",
    "owner_of",
    "place",
    "policy_of",
    "register",
    "root",
    "run_step",
    "run_step_async",
    "scope",
    "start",
    "stream_step",
    "stream_step_async",
    "take",
    "take_answers",
    "tool_call",
    "unanswered",
    "within",
]
