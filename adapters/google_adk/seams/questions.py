"""ADK's own pauses: mirrored into the one inbox, answered from it.

A confirmation that a tool asks for by itself, ``RequestInput`` of a workflow, and a long-running tool leave a function
call behind that waits for a function response. Each is a row keyed by that call's id. A decision is taken into the
journal once, and handed to ADK as the response of the user; if the session has that response already, it is not
given again. What confirms, and what does not, is in ``confirmations``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.genai import types

from durable.adapters.google_adk.seams.confirmations import CONFIRMATION, INPUT, confirmation, confirms, original_of
from durable.errors import Unsupported
from durable.inbox.decision import Decision
from durable.inbox.kinds import APPROVAL, QUESTION, kind_of
from durable.kit import Pause, answered, approves_nothing, mirror, unanswered
from durable.record.events import InterruptClosed, unpack_if

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.adk.events.event import Event

    from durable.checkpoint.records import Interrupt, Record
    from durable.inbox.kinds import InterruptKind
    from durable.live.segment import Segment
    from durable.runtime import Runtime

KEY = "native:"
CREDENTIAL = "adk_request_credential"
BY_CALLER = "run_async(new_message)"
"""Who answered, where the caller kept ADK's own way."""
MESSAGE = "a message"
REQUIRED = "require_confirmation"
"""The rule of a question that ADK would ask by itself."""


def pending(events: Iterable[Event], invocation_id: str) -> dict[str, types.FunctionCall]:
    """The calls of an invocation that wait for a response of the user, by id."""
    waiting: dict[str, types.FunctionCall] = {}
    for event in events:
        if event.invocation_id != invocation_id:
            continue
        for call in event.get_function_calls():
            if call.id and call.id in (event.long_running_tool_ids or ()):
                waiting[call.id] = call
        if event.author == "user":
            for response in event.get_function_responses():
                waiting.pop(response.id or "", None)
    return waiting


def open_natives(segment: Segment, waiting: dict[str, types.FunctionCall]) -> None:
    """Put what an invocation waits for into the inbox; what is there already is waited for. Raises Unsupported."""
    for call_id, call in waiting.items():
        kind, tool, subject = _asked(call)
        hashed = segment.runtime.codec.fingerprint(subject.get("arguments"))
        mirror(segment, Pause(KEY + call_id, call.name or "", subject, kind, tool, hashed))


def _asked(call: types.FunctionCall) -> tuple[InterruptKind, str | None, dict[str, Any]]:
    args = dict(call.args or {})
    if call.name == CONFIRMATION:
        original, asked = original_of(call), args.get("toolConfirmation") or {}
        subject = {"arguments": original.get("args") or {}, "tool": original.get("name"), "question": asked.get("hint")}
        return (
            APPROVAL,
            original.get("name"),
            {**subject, "payload": asked.get("payload"), "call": original.get("id")},
        )
    if confirms(call):
        asked = args.get("payload") or {}
        subject = {
            "arguments": asked.get("args") or {},
            "tool": asked.get("tool_name"),
            "question": args.get("message"),
        }
        return (
            APPROVAL,
            asked.get("tool_name"),
            {**subject, "payload": asked.get("confirmation_payload"), "call": call.id},
        )
    if call.name == INPUT:
        schema = args.get("response_schema") or args.get("responseSchema")
        return QUESTION, None, {"question": args.get("message"), "payload": args.get("payload"), "schema": schema}
    if call.name == CREDENTIAL:
        msg = (
            f"{CREDENTIAL}: credentials given by a user would be kept in the session and the journal; read them with "
            "secrets=(...) of the tool's policy"
        )
        raise Unsupported(msg)
    return QUESTION, call.name, {"question": f"the result of {call.name}", "arguments": args, "schema": None}


def responses(segment: Segment, waiting: dict[str, types.FunctionCall]) -> types.Content | None:
    """The message of the user that answers what is waited for and decided; None if nothing is."""
    closed = answered(segment, KEY)
    parts = [
        types.Part(
            function_response=types.FunctionResponse(id=call_id, name=call.name, response=_response(call, record))
        )
        for call_id, call in waiting.items()
        if (record := closed.get(call_id)) is not None
    ]
    return types.Content(role="user", parts=parts) if parts else None


def _response(call: types.FunctionCall, record: Record) -> dict[str, Any]:
    if confirms(call):
        return confirmation(record)
    closed = unpack_if(record, InterruptClosed)
    if closed is not None and closed.decision == "reject":
        return {"error": closed.reason}
    value = record.value()
    return value if isinstance(value, dict) and call.name != INPUT else {"result": value}


def waits_for(runtime: Runtime, execution_id: str, message: types.Content) -> bool:
    """True if the execution waits for one of the function responses of a message. Blocks."""
    rows = unanswered(runtime, execution_id, KEY)
    return any(response.id in rows for response in _responses(message))


def decide_natively(runtime: Runtime, execution_id: str, message: types.Content) -> None:
    """Record the function responses of a caller's message as decisions; one that was decided before simply goes on.

    Raises InvalidDecision for what ADK itself does not ask: a call that is gated by a policy.
    """
    asked = runtime.interrupts(status=None, execution_id=execution_id)
    rows = {row.step_key.removeprefix(KEY): row for row in asked} | {row.id: row for row in asked}
    for response in _responses(message):
        row = rows.get(response.id or "")
        if row is None or not _is_adks_own(row):
            raise approves_nothing(MESSAGE, execution_id, [row for row in asked if row.status == "open"])
        if row.status == "open":
            runtime.decide(row.id, _decision(row, response.response or {}), by=BY_CALLER)


def _responses(message: types.Content) -> list[types.FunctionResponse]:
    return [part.function_response for part in message.parts or () if part.function_response]


def _is_adks_own(row: Interrupt) -> bool:
    """True if ADK itself would ask: a tool that asks, a long-running call, an input, ``require_confirmation``."""
    return row.step_key.startswith(KEY) or (kind_of(row) is APPROVAL and row.rule == REQUIRED)


def _decision(row: Interrupt, value: dict[str, Any]) -> Decision:
    if kind_of(row) is not APPROVAL:
        return Decision.respond(value["result"] if set(value) == {"result"} else value)
    if value.get("confirmed") is not True:
        return Decision.reject(str((value.get("payload") or {}).get("reason") or "not confirmed"))
    payload = value.get("payload") if row.step_key.startswith(KEY) else None
    return Decision.approve() if payload is None else Decision.respond(payload)
