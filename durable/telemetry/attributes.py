"""Describe spans: who, which step, how it went. Never content: no arguments, results or messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from durable.errors import Cancelled, LeaseLost
from durable.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from durable.live.segment import Segment
    from durable.step.call import Call, Placed

_MODEL_OPERATIONS = frozenset({names.CHAT, "generate_content", "text_completion"})


def error_type(error: BaseException) -> str:
    """Return the qualified name of the error's class."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def of_execution(segment: Segment) -> dict[str, Any]:
    """Return the attributes that name an execution."""
    execution = segment.execution
    attributes = {names.AGENT: execution.app, names.EXECUTION: execution.id, names.NAMESPACE: execution.namespace}
    return attributes if execution.thread is None else attributes | {names.CONVERSATION: execution.thread}


def of_segment(segment: Segment) -> dict[str, Any]:
    """Return the attributes that name a segment, and who drives it."""
    execution = segment.execution
    attributes = of_execution(segment) | {
        names.OPERATION: names.INVOKE_AGENT,
        names.QUEUE: execution.queue,
        names.EPOCH: segment.journal.epoch,
        names.RECOVERED: segment.recovered,
        names.WORKER: segment.runtime.leases.owner.name,
    }
    return attributes if execution.app_version is None else attributes | {names.AGENT_VERSION: execution.app_version}


def of_step(placed: Placed) -> dict[str, Any]:
    """Return the attributes that name a step."""
    call, segment = placed.call, placed.segment
    return {
        names.EXECUTION: segment.execution.id,
        names.STEP: placed.key or call.name,
        names.STEP_NAME: call.name,
        names.STEP_KIND: call.kind.name,
        names.STEP_EFFECT: call.policy.effect,
        names.STEP_EPOCH: segment.journal.epoch,
    }


def conventional(call: Call, around: Span) -> tuple[str, SpanKind, dict[str, Any]]:
    """Return a step span's name, kind and attributes as the conventions want them; its own where they say nothing."""
    own, kind = dict(call.attributes or {}), call.kind
    if not kind.operation:
        return call.name, SpanKind.INTERNAL, own
    if not kind.spends_tokens:
        attributes = {**own, names.OPERATION: kind.operation, kind.subject: call.name}
        return f"{kind.operation} {call.name}", SpanKind.INTERNAL, attributes
    if _is_model_call(around):  # another library tells of this call already: one call, one span of that kind
        return call.name, SpanKind.INTERNAL, {}
    attributes = {**own, **of_model(call)}
    return f"{kind.operation} {attributes[kind.subject]}", SpanKind.CLIENT, attributes


def of_model(call: Call) -> dict[str, Any]:
    """Return the attributes that name a model call."""
    own = call.attributes or {}
    attributes = {names.OPERATION: names.CHAT, names.MODEL: call.model}
    return attributes | {names.PROVIDER: own[names.PROVIDER]} if names.PROVIDER in own else attributes


def _is_model_call(span: Span) -> bool:
    attributes = getattr(span, "attributes", None) or {}
    return attributes.get(names.OPERATION) in _MODEL_OPERATIONS or attributes.get("openinference.span.kind") == "LLM"


def outcome(call: Call, error: BaseException | None) -> str:
    """Return what an attempt or step came to, in one word."""
    if error is None:
        return "done"
    if isinstance(error, call.waiting):
        return "suspended"
    if isinstance(error, LeaseLost):
        return "lease_lost"
    if isinstance(error, Cancelled):
        return "cancelled"
    return "failed" if isinstance(error, Exception) else "interrupted"
