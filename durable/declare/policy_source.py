"""Policies from wherever they are given: a mapping, or a file by its path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from durable.declare.policies import Policies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.declare.policy import ToolPolicy


def policies_of(given: Mapping[str, ToolPolicy] | str | Path | None) -> Policies:
    """Return the policies of a mapping or of a file. Raises InvalidConfiguration."""
    if not isinstance(given, (str, Path)):
        return Policies(given or {}).checked()
    from durable.declare.policy_file import read  # noqa: PLC0415 - pydantic and YAML, only where there is a file

    return read(Path(given))
