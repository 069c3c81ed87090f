"""docs/reference/errors.md lists every error of the tree, with what its docstring says."""

from __future__ import annotations

import inspect
from pathlib import Path

from durable import errors
from durable.checkpoint import errors as storage_errors
from durable.openapi import errors as api_errors

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "errors.md"


def test_every_error_is_in_the_reference_with_its_meaning() -> None:
    page = PAGE.read_text()
    known = [
        found
        for module in (storage_errors, errors, api_errors)
        for _, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__.startswith(module.__name__)
    ]
    assert known
    missing = [found.__name__ for found in known if f"| `{found.__name__}` | {inspect.getdoc(found)} |" not in page]
    assert missing == []
