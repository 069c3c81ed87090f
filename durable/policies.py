"""Policies by name: exact names first, then patterns (``refund*``) in the order in which they stand.

From code, or from a TOML or YAML file in which everything is checked and nothing can refer to code:

    [tools."refund*"]
    effect = "once"
    timeout = 30

    [tools."refund*".approval]
    when = "arguments.amount > 100"
    approvers = ["role:finance"]
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from durable.checkpoint.errors import InvalidConfiguration
from durable.policy import ToolPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATTERN = frozenset("*?[")


class Policies(dict[str, ToolPolicy]):
    """Policies by the names of tools, and of nodes and models where a framework has them."""

    @classmethod
    def made(cls, given: Mapping[str, ToolPolicy] | str | Path | None) -> Policies:
        """From a mapping, or from a file. Raises InvalidConfiguration."""
        if isinstance(given, (str, Path)):
            return cls(_read(Path(given)))
        return cls(given or {})

    def of_tool(self, name: str) -> ToolPolicy | None:
        """The policy of a tool: its own, or that of the first pattern that fits; None if there is none."""
        if name in self:
            return self[name]
        patterns = (pattern for pattern in self if _PATTERN & set(pattern))
        return next((self[pattern] for pattern in patterns if fnmatchcase(name, pattern)), None)


def _read(path: Path) -> dict[str, ToolPolicy]:
    from pydantic import ValidationError  # noqa: PLC0415 - only where there is a file

    from durable.policy_file import PolicyFile  # noqa: PLC0415 - only where there is a file

    try:
        return PolicyFile.model_validate(_parsed(path)).policies()
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        msg = f"the policies in {path}: {place}: {first['msg']}"
        raise InvalidConfiguration(msg) from None
    except InvalidConfiguration as exc:
        msg = f"the policies in {path}: {exc}"
        raise InvalidConfiguration(msg) from exc


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        msg = f"cannot be read: {exc}"
        raise InvalidConfiguration(msg) from exc
    if path.suffix == ".toml":
        import tomllib  # noqa: PLC0415 - only where there is a file

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as exc:
            msg = f"no TOML: {exc}"
            raise InvalidConfiguration(msg) from exc
    if path.suffix in {".yaml", ".yml"}:
        return _yaml(text)
    msg = f"{path.suffix or 'no suffix'}: use a .toml, .yaml or .yml file"
    raise InvalidConfiguration(msg)


def _yaml(text: str) -> Any:
    try:
        import yaml  # noqa: PLC0415 - only where there is such a file
    except ImportError as exc:
        msg = "YAML needs pyyaml: pip install 'durable-adapters[rules]', or write it in TOML"
        raise InvalidConfiguration(msg) from exc
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        msg = f"no YAML: {exc}"
        raise InvalidConfiguration(msg) from exc
