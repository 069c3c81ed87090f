"""Names of spans, attributes and metrics, in one place.

``gen_ai.*``, ``error.type``: OpenTelemetry's conventions for generative AI, status "Development", as of
open-telemetry/semantic-conventions-genai v0.1.0 (our own strings: the constants of the Python package are
deprecated since they moved there). ``durable.*`` are ours. Durations are seconds.

Source: https://github.com/open-telemetry/semantic-conventions-genai
"""

from __future__ import annotations

SCOPE = "durable"
"""The instrumentation scope of everything that is told."""

# spans
INVOKE_AGENT = "invoke_agent"
EXECUTE_TOOL = "execute_tool"
CHAT = "chat"
START = "start"
RESUME = "resume"
ATTEMPT = "attempt"

# attributes of the conventions
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
AGENT = "gen_ai.agent.name"
AGENT_VERSION = "gen_ai.agent.version"
CONVERSATION = "gen_ai.conversation.id"
MODEL = "gen_ai.request.model"
TOOL = "gen_ai.tool.name"
USAGE = "gen_ai.usage."
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - a kind of token, no password
ERROR_TYPE = "error.type"

# attributes of our own
EXECUTION = "durable.execution.id"
STATUS = "durable.execution.status"
EPOCH = "durable.execution.epoch"
RECOVERED = "durable.execution.recovered"
REPLAYED_STEPS = "durable.execution.replayed_steps"
NAMESPACE = "durable.namespace"
QUEUE = "durable.queue"
WORKER = "durable.worker.id"
STEP = "durable.step.id"
STEP_NAME = "durable.step.name"
STEP_SEQ = "durable.step.seq"
STEP_KIND = "durable.step.kind"
STEP_EFFECT = "durable.step.effect"
STEP_ATTEMPT = "durable.step.attempt"
STEP_EPOCH = "durable.step.epoch"
STEP_OUTCOME = "durable.step.outcome"
REPLAYED = "durable.step.replayed"
IDEMPOTENCY_KEY_HASH = "durable.idempotency_key_hash"
INTERRUPT = "durable.approval.id"
INTERRUPT_KIND = "durable.approval.kind"
DECISION = "durable.approval.decision"

# events on the span of a segment, next to REPLAYED and LEASE_LOST
INTERRUPT_OPENED = "durable.interrupt.opened"
INTERRUPT_CLOSED = "durable.interrupt.closed"

# metrics
STEP_DURATION = "durable.step.duration"
EXECUTIONS = "durable.executions"
APPROVAL_WAIT = "durable.approval.wait"
LEASE_LOST = "durable.lease.lost"
RECOVERIES = "durable.recoveries"
IN_DOUBT = "durable.in_doubt"
COMMIT_DURATION = "durable.journal.commit.duration"
MODEL_DURATION = "gen_ai.client.operation.duration"
MODEL_TOKENS = "gen_ai.client.token.usage"
