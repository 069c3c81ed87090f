"""Durable functions: a plain Python function, sync or async, as an execution. No framework needed.

The function runs from its top on every segment; its steps are answered from the journal. Between steps it must come
to the same calls again, so clocks, randomness and input belong into steps.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from durable.declare.signature import context_parameter
from durable.live.scope import root
from durable.run.app import App

if TYPE_CHECKING:
    from durable.live.segment import Segment


def function_app(name: str, fn: Callable[..., Any]) -> App:
    """Return the app that calls ``fn``.

    The input's keys are passed as keywords if it is a mapping that fits; otherwise the input is the one argument. A
    parameter annotated ToolContext is filled in.
    """
    signature = inspect.signature(fn)
    context = context_parameter(fn)

    def run(segment: Segment) -> Any:
        input_ = segment.execution.input
        named = {} if context is None else {context: root(segment).tool_context}
        if signature.parameters.keys() == named.keys():
            return fn(**named)
        if isinstance(input_, Mapping) and all(isinstance(key, str) for key in input_):
            try:
                signature.bind(**{**input_, **named})
            except TypeError:
                return fn(input_, **named)
            return fn(**{**input_, **named})
        return fn(input_, **named)

    return App(name, run)
