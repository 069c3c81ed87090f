"""What spans say: who, which step, how it went. Never what: no arguments, results or messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from durable.errors import Cancelled, LeaseLost, Suspended
from durable.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from durable.live.segment import Segment
    from durable.step.call import StepCall

_MODEL_OPERATIONS = frozenset({names.CHAT, "generate_content", "text_completion"})


def error_type(error: BaseException) -> str:
    """The qualified name of the error's class."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def of_execution(segment: Segment) -> dict[str, Any]:
    """What names an execution."""
    execution = segment.execution
    told = {names.AGENT: execution.app, names.EXECUTION: execution.id, names.NAMESPACE: execution.namespace}
    return told if execution.thread is None else told | {names.CONVERSATION: execution.thread}


def of_segment(segment: Segment) -> dict[str, Any]:
    """What names a segment, and who drives it."""
    execution = segment.execution
    told = of_execution(segment) | {
        names.OPERATION: names.INVOKE_AGENT,
        names.QUEUE: execution.queue,
        names.EPOCH: segment.journal.epoch,
        names.RECOVERED: segment.recovered,
        names.WORKER: segment.runtime.leases.owner.name,
    }
    return told if execution.app_version is None else told | {names.AGENT_VERSION: execution.app_version}


def of_step(call: StepCall) -> dict[str, Any]:
    """What names a step."""
    segment = call.scope.segment
    return {
        names.EXECUTION: segment.execution.id,
        names.STEP: call.outcome.key if call.outcome is not None else call.name,
        names.STEP_NAME: call.name,
        names.STEP_KIND: call.kind,
        names.STEP_EFFECT: call.policy.effect,
        names.STEP_EPOCH: segment.journal.epoch,
    }


def conventional(call: StepCall, around: Span) -> tuple[str, SpanKind, dict[str, Any]]:
    """Name, kind and attributes of a step's span as the conventions want them; its own name where they say nothing."""
    own = dict(call.attributes or {})
    match call.kind:
        case "tool":
            said = {**own, names.OPERATION: names.EXECUTE_TOOL, names.TOOL: call.name}
            return f"{names.EXECUTE_TOOL} {call.name}", SpanKind.INTERNAL, said
        case "agent":
            said = {**own, names.OPERATION: names.INVOKE_AGENT, names.AGENT: call.name}
            return f"{names.INVOKE_AGENT} {call.name}", SpanKind.INTERNAL, said
        case "model" if not _is_model_call(around):
            said = {**own, **of_model(call)}
            return f"{names.CHAT} {said[names.MODEL]}", SpanKind.CLIENT, said
        case "model":  # another library tells of this call already: one call, one span of that kind
            return call.name, SpanKind.INTERNAL, {}
        case _:
            return call.name, SpanKind.INTERNAL, own


def of_model(call: StepCall) -> dict[str, Any]:
    """What names a model call."""
    own = call.attributes or {}
    told = {names.OPERATION: names.CHAT, names.MODEL: call.model}
    return told | {names.PROVIDER: own[names.PROVIDER]} if names.PROVIDER in own else told


def _is_model_call(span: Span) -> bool:
    attributes = getattr(span, "attributes", None) or {}
    return attributes.get(names.OPERATION) in _MODEL_OPERATIONS or attributes.get("openinference.span.kind") == "LLM"


def outcome(call: StepCall, error: BaseException | None) -> str:
    """What an attempt or step came to, in one word."""
    if error is None:
        return "done"
    if isinstance(error, (Suspended, *call.passing)):
        return "suspended"
    if isinstance(error, LeaseLost):
        return "lease_lost"
    if isinstance(error, Cancelled):
        return "cancelled"
    return "failed" if isinstance(error, Exception) else "interrupted"
