"""Idempotency keys: the same for every attempt of a step on every worker, another for every other step.

Made from where the step stands, not from its arguments: two equal payments in one execution are two payments.
Base32 of a sha256, 52 characters, inside the 64 that common APIs allow.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durable.replay import Outcome
    from durable.step import StepCall


def key_for(namespace: str, execution_id: str, step_key: str, tool: str) -> str:
    """The key to hand to the outside system for this step."""
    place = json.dumps([namespace, execution_id, step_key, tool])
    return base64.b32encode(hashlib.sha256(place.encode()).digest()).decode().rstrip("=").lower()


def key_of(call: StepCall, outcome: Outcome, arguments: Any) -> str:
    """The key of a call with these arguments: the policy's own, or the one made from its place."""
    if call.policy.idempotency_key is not None:
        return call.policy.idempotency_key(arguments)
    execution = call.scope.segment.execution
    return key_for(execution.namespace, execution.id, outcome.key, call.name)
