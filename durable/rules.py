"""Rules: conditions on a call, as a Python function or as an expression in CEL, which can be written in a file.

CEL (the Common Expression Language, cel.dev) has no loops, no assignments and no access to anything but what it is
given: ``arguments`` and ``tool``. A rule that cannot be evaluated is never taken for a no.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from durable.checkpoint.errors import InvalidConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def checked_rule(rule: Callable[[Mapping[str, Any]], bool] | str) -> None:
    """Raise InvalidConfiguration for an expression that cannot be parsed, or where no library for it is installed."""
    if isinstance(rule, str):
        _compiled(rule)


def applies(rule: Callable[[Mapping[str, Any]], bool] | str, tool: str, arguments: Any) -> bool:
    """Whether the rule is true of this call. Raises whatever it raises: an unknown name, a value of another type."""
    if callable(rule):
        return bool(rule(arguments))
    found = _compiled(rule).execute({"tool": tool, "arguments": arguments})
    if not isinstance(found, bool):
        msg = f"the rule {rule!r} came to {found!r}, not to true or false"
        raise TypeError(msg)
    return found


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
