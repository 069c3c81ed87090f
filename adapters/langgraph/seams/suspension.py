"""Waiting, in LangGraph's own way: ``Suspended`` becomes a ``GraphInterrupt`` where LangGraph is to see it.

Pregel lets the other tasks of a superstep finish when one is interrupted, and stops everything for any other
exception. The interrupts it carries are what the user finds under ``__interrupt__``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durable.checkpoint import records
    from durable.live.segment import Segment


def graph_interrupt(segment: Segment, under: str) -> GraphInterrupt:
    """Return what LangGraph gets for all that is waited for below the scope ``under``; empty if nothing is asked."""
    waiting = [row for row in list(segment.waiting.values()) if _is_under(row.step_key, under)]
    ours = [Interrupt(value=shown(row), id=row.id) for row in waiting]
    return GraphInterrupt((*(native for key, native in _natives(segment).values() if _is_under(key, under)), *ours))


def remember_native(segment: Segment, step_key: str, natives: Iterable[Interrupt]) -> None:
    """Remember what a step waits for: calls beside it, and code that swallows exceptions, may hide it."""
    _natives(segment).update({native.id: (step_key, native) for native in natives if not is_ours(native)})


def is_ours(interrupt: Interrupt) -> bool:
    """True if it stands for a row of ours, and is not one that LangGraph's ``interrupt()`` made."""
    return interrupt.id.startswith("int-")


def _natives(segment: Segment) -> dict[str, tuple[str, Interrupt]]:
    natives: dict[str, tuple[str, Interrupt]] = segment.attachments.setdefault("langgraph.natives", {})
    return natives


def shown(interrupt: records.Interrupt) -> dict[str, Any]:
    """Return an interrupt of ours as the value of LangGraph's: what a front end needs to ask a person."""
    subject = interrupt.subject
    return {
        "type": f"durable.{interrupt.kind}",
        "interrupt_id": interrupt.id,
        "tool": interrupt.tool,
        **(subject if isinstance(subject, dict) else {"subject": subject}),
    }


def _is_under(step_key: str, scope: str) -> bool:
    return not scope or step_key == scope or step_key.startswith(scope + "/")
