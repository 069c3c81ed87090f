"""Rules: conditions on a call, as a Python function or as an expression in CEL, which can be written in a file.

CEL (the Common Expression Language, cel.dev) has no loops, no assignments and no access to anything but what it is
given: ``tool``, ``arguments``, ``agent``, ``app``, ``tags``, and the function ``calls(tool)``. A rule that cannot be
evaluated is never taken for a no where it asks, nor for a yes where it allows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from durable.errors import InvalidConfiguration


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of a call that a rule sees.

    ``agent`` is the agent that makes it, the app's name where the framework names none; ``tags`` are those of the
    execution. ``calls("refund")`` is how many calls of that tool this execution has made so far, finished or on their
    way, this one not counted: the same on every worker, as the journal says. What was rejected is not counted.
    """

    tool: str
    arguments: Any
    agent: str = ""
    app: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    calls: Callable[[str], int] = field(default=lambda _: 0, repr=False)


Rule = Callable[..., bool] | str
"""A function of the arguments, or of the arguments and the Facts; or an expression in CEL."""


def checked_rule(rule: Rule) -> None:
    """Raise InvalidConfiguration for an expression that cannot be parsed, or where no library for it is installed."""
    if isinstance(rule, str):
        _compiled(rule)


def applies(rule: Rule, facts: Facts) -> bool:
    """True if the rule is true of this call. Raises whatever it raises: an unknown name, a value of another type."""
    if not isinstance(rule, str):
        return bool(rule(facts.arguments, facts) if _takes_facts(rule) else rule(facts.arguments))
    import cel  # noqa: PLC0415 - only where a rule is an expression

    variables = {
        "tool": facts.tool,
        "arguments": facts.arguments,
        "agent": facts.agent,
        "app": facts.app,
        "tags": dict(facts.tags),
    }
    verdict = _compiled(rule).execute(cel.Context(variables=variables, functions={"calls": facts.calls}))
    if not isinstance(verdict, bool):
        msg = f"the rule {rule!r} came to {verdict!r}, not to true or false"
        raise TypeError(msg)
    return verdict


def _takes_facts(rule: Callable[..., bool]) -> bool:
    try:
        parameters = inspect.signature(rule).parameters.values()
    except (TypeError, ValueError):  # a callable that does not say
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [
        parameter for parameter in parameters if parameter.kind in positional and parameter.default is parameter.empty
    ]
    return len(required) > 1


@lru_cache(maxsize=1024)
def _compiled(rule: str) -> Any:
    try:
        import cel  # noqa: PLC0415 - only where a rule is an expression
    except ImportError as exc:
        msg = "a rule that is an expression needs CEL: pip install 'durable-adapters[rules]'"
        raise InvalidConfiguration(msg) from exc
    try:
        return cel.compile(rule)
    except ValueError as exc:
        msg = f"the rule {rule!r} is no CEL expression: {str(exc).splitlines()[0]}"
        raise InvalidConfiguration(msg) from exc
