"""Idempotency keys: the same for every attempt of a step on every worker, another for every other step.

Made from where the step stands, not from its arguments: two equal payments in one execution are two payments.
Base32 of a sha256, 52 characters, inside the 64 that common APIs allow.
"""

from __future__ import annotations

import base64
import hashlib
import json


def key_for(namespace: str, execution_id: str, step_key: str, tool: str) -> str:
    """Return the key to hand to the outside system for this step."""
    place = json.dumps([namespace, execution_id, step_key, tool])
    return base64.b32encode(hashlib.sha256(place.encode()).digest()).decode().rstrip("=").lower()


def interrupt_id(execution_id: str, step_key: str, kind: str, ordinal: int) -> str:
    """Return the id of the ``ordinal``-th interrupt of this kind at this step; the same whoever opens it."""
    place = json.dumps([execution_id, step_key, kind, ordinal])
    return "int-" + base64.b32encode(hashlib.sha256(place.encode()).digest()).decode()[:16].lower()
