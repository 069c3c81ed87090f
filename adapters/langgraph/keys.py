"""What this adapter keeps in a run's ``config``, and reads from it.

The segment travels in ``config["configurable"]``, because a graph's stream is a generator: a context variable set
in it would leak into its caller. Keys that begin with two underscores never reach a checkpoint's metadata, and
those that begin with LangGraph's own prefix are left out of the configs that it streams (modes ``checkpoints`` and
``debug``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from durable.context import Scope, scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.segment import Segment
    from durable.step import Pending

SEGMENT = "__pregel_durable_segment"
TASK_ID = "__pregel_task_id"
RUNTIME = "__pregel_runtime"
CALL = "__pregel_call"
CHECKPOINTER = "__pregel_checkpointer"
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


def scope_in(segment: Segment) -> Scope:
    """The scope of the code that runs now, the outermost one if it runs in none of this segment."""
    here = scope()
    return here if here is not None and here.segment is segment else segment.root()


def inside(pending: Pending) -> Scope:
    """The scope of a body that is a place for steps: a tool in it may have its name, and is a step all the same."""
    within = pending.scope()
    return replace(within, body_of=frozenset()) if pending.call.composite else within
