"""Shown: what the inbox asks about a call, in the shape of a confirmation of ADK and in the session's history.

A client of ADK finds the request again when it loads the session, and shows it as answered when it is. ADK itself sees
neither: for it the call has not been answered yet, and its step knows what was decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.adk.events.event import Event
from google.genai import types

from durable.adapters.google_adk.seams.confirmations import CONFIRMATION
from durable.record.events import InterruptClosed, unpack_if

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from durable.checkpoint.records import Interrupt
    from durable.live.segment import Segment

_MARK = "durable.interrupt"
_REFUSED = frozenset({"reject", "cancel", "withdrawn"})


def is_shown(event: Event) -> bool:
    """True if the event only shows a question of ours, or its answer."""
    return _MARK in (event.custom_metadata or {})


def request(segment: Segment, interrupt: Interrupt, author: str) -> Event:
    """Return the question as ADK asks for a confirmation, with the id of the call that it is about."""
    original = {"name": interrupt.tool, "args": interrupt.arguments}
    _, is_call, call_id = interrupt.step_key.rpartition("tool:")
    if is_call:
        original["id"] = call_id
    args = {
        "originalFunctionCall": original,
        "toolConfirmation": {"hint": f"durable.{interrupt.kind}: decide {interrupt.id}", "confirmed": False},
    }
    asked = types.Part(function_call=types.FunctionCall(id=interrupt.id, name=CONFIRMATION, args=args))
    return _event(segment, interrupt.id, author, asked, long_running_tool_ids={interrupt.id})


def answers(segment: Segment, events: Iterable[Event]) -> Iterator[Event]:
    """Return the answers to the questions that are shown among these events and were closed meanwhile."""
    shown = [(event.custom_metadata or {})[_MARK] for event in events if is_shown(event) and event.author != "user"]
    closed = {event.interrupt: event for one in segment.records if (event := unpack_if(one, InterruptClosed))}
    for interrupt_id in shown:
        if interrupt_id in closed:
            confirmed = closed[interrupt_id].decision not in _REFUSED
            response = types.FunctionResponse(id=interrupt_id, name=CONFIRMATION, response={"confirmed": confirmed})
            yield _event(segment, interrupt_id, "user", types.Part(function_response=response))


def _event(segment: Segment, interrupt_id: str, author: str, part: types.Part, **more: Any) -> Event:
    return Event(
        id=f"{author}-{interrupt_id}",
        invocation_id=segment.execution.id,
        author=author,
        content=types.Content(role="user" if author == "user" else "model", parts=[part]),
        custom_metadata={_MARK: interrupt_id},
        **more,
    )
