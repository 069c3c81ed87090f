"""Confirmations: what a tool asks for by itself is confirmed by a decision in the inbox, and by nothing else.

A confirmation is believed as far as the journal has it: neither the response that a client sends, nor one that a
session holds, confirms anything.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.tools.tool_confirmation import ToolConfirmation
from google.genai import types

from durable.record.events import InterruptClosed, unpack_if

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.adk.agents.context import Context

    from durable.checkpoint.records import Record
    from durable.live.segment import Segment

CONFIRMATION, INPUT = "adk_request_confirmation", "adk_request_input"
_NODE = "wf_tool_confirmation:"
"""How the ids of those inputs begin by which a node of a workflow asks to be confirmed."""


def confirms(call: types.FunctionCall) -> bool:
    """Whether this call asks for a confirmation."""
    return call.name == CONFIRMATION or (call.name == INPUT and (call.id or "").startswith(_NODE))


def cut_off(events: Iterable[Event], invocation_id: str) -> list[Event]:
    """What a crash has cut off where a tool asks for a confirmation: the request, or the response that announces it.

    ADK stores one after the other, in either order. Without the request it takes the announcement for the tool's
    answer; without the announcement it refuses the confirmation.
    """
    calls: dict[str, tuple[types.FunctionCall, Event]] = {}
    asked: dict[str, ToolConfirmation] = {}
    announced: Counter[str] = Counter()
    for event in events:
        if event.invocation_id != invocation_id:
            continue
        own = [call for call in event.get_function_calls() if call.id and call.name != CONFIRMATION]
        calls |= {str(call.id): (call, event) for call in own}
        requested = _requested(event)
        asked |= requested | event.actions.requested_tool_confirmations
        announced.update(event.actions.requested_tool_confirmations.keys())
        announced.subtract(requested.keys())
    return [
        (_request if times > 0 else _announcement)(*calls[call_id], asked[call_id])
        for call_id, times in announced.items()
        if times and call_id in calls
    ]


def _requested(event: Event) -> dict[str, ToolConfirmation]:
    """Return the confirmations that an event requests, by the id of the call they are about."""
    requests = [call for call in event.get_function_calls() if call.name == CONFIRMATION]
    hints = {original_of(call).get("id") or "": (call.args or {}).get("toolConfirmation") for call in requests}
    return {call_id: ToolConfirmation.model_validate(hint or {}) for call_id, hint in hints.items()}


def _request(call: types.FunctionCall, by: Event, asked: ToolConfirmation) -> Event:
    digest = hashlib.sha256(f"{by.invocation_id}/{call.id}".encode()).hexdigest()
    args = {
        "originalFunctionCall": call.model_dump(exclude_none=True, by_alias=True),
        "toolConfirmation": asked.model_dump(exclude_none=True, by_alias=True),
    }
    request = types.FunctionCall(id=f"adk-{digest[:32]}", name=CONFIRMATION, args=args)
    content = types.Content(role="model", parts=[types.Part(function_call=request)])
    return _beside(by, content, long_running_tool_ids={request.id or ""})


def _announcement(call: types.FunctionCall, by: Event, asked: ToolConfirmation) -> Event:
    response = types.FunctionResponse(id=call.id, name=call.name, response={"status": "waiting for a confirmation"})
    content = types.Content(role="user", parts=[types.Part(function_response=response)])
    return _beside(by, content, actions=EventActions(requested_tool_confirmations={call.id or "": asked}))


def _beside(by: Event, content: types.Content, **more: Any) -> Event:
    return Event(invocation_id=by.invocation_id, author=by.author, branch=by.branch, content=content, **more)


def original_of(request: types.FunctionCall) -> dict[str, Any]:
    """The call that a request for confirmation is about."""
    return (request.args or {}).get("originalFunctionCall") or {}


def believed(segment: Segment, call_id: str | None) -> dict[str, Any] | None:
    """What was decided about the call of this id, as ADK puts it; None if nothing was."""
    if call_id is None:
        return None
    for record in reversed(segment.records):
        closed = unpack_if(record, InterruptClosed)
        if closed is not None and closed.confirms == call_id:
            return confirmation(record)
    return None


def node_call(context: Context) -> str:
    """The id under which a node of a workflow asks to be confirmed."""
    return f"{_NODE}{context.node_path}"


def believe_node(segment: Segment, context: Context) -> None:
    """Put what was decided about a node in the place of what the session says about it."""
    asked = node_call(context)
    if context.resume_inputs.pop(asked, None) is not None and (given := believed(segment, asked)) is not None:
        context.resume_inputs[asked] = given


def confirmation(record: Record) -> dict[str, Any]:
    """A recorded decision as ADK puts it."""
    closed, value = unpack_if(record, InterruptClosed), record.value()
    if closed is not None and closed.decision == "reject":
        return {"confirmed": False, "payload": {"reason": closed.reason}}
    return {"confirmed": True} if value is None else {"confirmed": True, "payload": value}
