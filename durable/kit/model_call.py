"""Model calls: what a framework says of a request to a model, as the step it becomes.

The journal keeps the answer and a digest of the prompt, never the prompt. A prompt may hold clocks: a call whose prompt
differs takes the record with its number, and the difference is noted in the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.declare.policy import READ
from durable.record.kinds import MODEL
from durable.step.call import Call
from durable.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.live.scope import Scope


def model_call(here: Scope, model: str, prompt: Any, *, usage: Callable[[Any], dict[str, int]]) -> Call:
    """Return the call of a model that is made here, governed by the policy of ``chat:MODEL``.

    ``prompt`` is what its digest is made of; ``usage`` counts the tokens of a recorded answer, by the names
    ``input_tokens`` and ``output_tokens``.
    """
    name = f"chat:{model}"
    return Call(
        name,
        arguments=prompt,
        policy=here.segment.runtime.policies.get(name) or READ,
        kind=MODEL,
        attributes={names.MODEL: model},
        usage=usage,
        scope=here,
    )
