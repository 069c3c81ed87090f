"""Durable functions: a plain Python function, sync or async, as an execution. No framework needed.

The function runs from its top on every segment; its steps are answered from the journal. Between steps it must come to the same
calls again, so clocks, randomness and input belong into steps.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from durable.runtime import App

if TYPE_CHECKING:
    from durable.segment import Segment


def function_app(name: str, fn: Callable[..., Any]) -> App:
    """The app that calls ``fn``: with the input's keys as keywords if it is a mapping that fits, else with the input."""
    signature = inspect.signature(fn)

    def run(segment: Segment) -> Any:
        given = segment.execution.input
        if not signature.parameters:
            return fn()
        if isinstance(given, Mapping) and all(isinstance(key, str) for key in given):
            try:
                signature.bind(**given)
            except TypeError:
                return fn(given)
            return fn(**given)
        return fn(given)

    return App(name, run)
