r"""Match the patterns of JSON Schema in linear time: no argument of a model can hold a worker.

A schema comes from a document or a server, its value from a model, so neither may choose how long a match takes. RE2
matches without backtracking. What it has no form for (look-around, back references, more than 1,000 repetitions) is
not checked here; whoever is called checks it. Patterns are those of ECMAScript: ``$`` is the very end of the text, and
``\d`` and ``\w`` are of ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import ValidationError

_UNICODE = re.compile(r"\\u\{?([0-9a-fA-F]{4,6})\}?")


@cache
def compiled(pattern: str) -> Any:
    """Return the pattern as RE2 has it; None if it has no form for it."""
    import re2  # noqa: PLC0415 - only where a schema has a pattern

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(_UNICODE.sub(r"\\x{\1}", pattern), options)
    except re2.error:
        return None


def matches(pattern: str, text: str) -> bool:
    """True if the text has a match of the pattern, or if the pattern cannot be checked here."""
    program = compiled(pattern)
    return program is None or program.search(text) is not None


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    from jsonschema import ValidationError  # noqa: PLC0415 - only where something is checked

    if isinstance(value, str) and not matches(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], value: Any, __: Any) -> Iterator[ValidationError]:
    if not isinstance(value, Mapping):
        return
    for pattern, schema in patterns.items():
        for name, item in value.items():
            if matches(pattern, name):
                yield from validator.descend(item, schema, path=name, schema_path=pattern)


KEYWORDS: Mapping[str, Any] = {"pattern": _pattern, "patternProperties": _pattern_properties}
"""What a validator of jsonschema is extended with."""


@cache
def linear(validator: type[Any]) -> Any:
    """Return a class of jsonschema's validators that matches patterns in linear time."""
    from jsonschema.validators import extend  # noqa: PLC0415 - only where something is checked

    return extend(validator, dict(KEYWORDS))  # type: ignore[no-untyped-call]
