"""What this adapter keeps in a run's ``config``, and reads from it.

The segment travels in ``config["configurable"]``, because a graph's stream is a generator: a context variable set
in it would leak into its caller. Keys that begin with two underscores never reach a checkpoint's metadata, and
those that begin with LangGraph's own prefix are left out of the configs that it streams (modes ``checkpoints`` and
``debug``).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from durable.live.scope import Scope, root, scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.runnables import RunnableConfig

    from durable.live.segment import Segment
    from durable.step.call import Pending

SEGMENT = "__pregel_durable_segment"
UNKEPT = "__pregel_durable_unkept"
"""The namespace of a graph without checkpoints, in it and inside of it: its task ids do not outlive the process."""
ALONE = "__pregel_durable_alone"
"""The namespace around a tool call that is the only one of its task: a sub-graph in it is where it would be bare."""
TASK_ID = "__pregel_task_id"
RUNTIME = "__pregel_runtime"
CALL = "__pregel_call"
CHECKPOINTER = "__pregel_checkpointer"
NAMESPACE = "checkpoint_ns"
CHECKPOINTS = "checkpoint_map"
SCRATCHPAD = "__pregel_scratchpad"
SEND = "__pregel_send"
DURABILITY = "__pregel_durability"


def configurable(config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The ``configurable`` part of a config, empty if there is none."""
    return (config or {}).get("configurable") or {}


def segment_in(config: Mapping[str, Any] | None) -> Segment | None:
    """The segment that drives this run; None for a graph that is not driven by us."""
    found: Segment | None = configurable(config).get(SEGMENT)
    return found


def is_nested(config: Mapping[str, Any] | None) -> bool:
    """Whether the graph runs inside a task of another graph."""
    return TASK_ID in configurable(config)


def task_identity(config: RunnableConfig) -> str:
    """What names a task in every process: its id; where ids do not last, its place in the graph."""
    conf = configurable(config)
    unkept = conf.get(UNKEPT)
    if unkept is None:
        return str(conf[TASK_ID])
    metadata = config.get("metadata") or {}
    inside = [part.partition(":")[0] for part in str(conf[NAMESPACE])[len(unkept) :].split("|")]
    place = (unkept, inside, metadata.get("langgraph_step"), metadata.get("langgraph_path"))
    return hashlib.sha256(repr(place).encode()).hexdigest()[:32]


def scope_in(segment: Segment) -> Scope:
    """The scope of the code that runs now, the outermost one if it runs in none of this segment."""
    here = scope()
    return here if here is not None and here.segment is segment else root(segment)


def inside(pending: Pending) -> Scope:
    """The scope of a body that is a place for steps: a tool in it may have its name, and is a step all the same."""
    within = pending.scope()
    return replace(within, bodies=()) if pending.call.kind.is_scope else within
