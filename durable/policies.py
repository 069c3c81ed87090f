"""Policies: which one governs a call. The most specific counts, and it counts whole.

A key is the name of a tool, a pattern (``refund*``), or ``tag:money``; it holds everywhere, or in one app
(``app:billing/refund*``), for one agent (``agent:clerk/refund*``), or both (``app:billing/agent:clerk/refund*``), each
by name or pattern. Of the keys that fit, those for an app and an agent count before those for an agent, then for an
app, then for everywhere; among these a name before a tag, and a tag before a pattern; then the first in order. What a
tool declares itself holds where no key fits. What can only be code (``reconcile``, ``idempotency_key``) and is not
given by the policy, stays the tool's own.

From code, or from a TOML or YAML file in which everything is checked and nothing can refer to code:

    [tools."refund*"]
    effect = "once"
    timeout = 30.0

    [tools."app:billing/tag:money".approval]
    when = "arguments.amount > 100"
    approvers = ["role:finance"]
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from durable.checkpoint.errors import InvalidConfiguration
from durable.policy import ONCE, ToolPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable.budget import Budget
    from durable.context import Scope

_PATTERN = frozenset("*?[")
_APP, _AGENT, _TAG = "app:", "agent:", "tag:"
_CODE = ("reconcile", "idempotency_key", "compensate")


@dataclass(frozen=True, slots=True)
class Key:
    """What a key means. ``rank`` is smaller for what is more specific."""

    app: str | None
    agent: str | None
    tool: str
    rank: tuple[int, int]

    def fits(self, tool: str, app: str, agent: str, tags: tuple[str, ...]) -> bool:
        """Whether it is for a call of this tool, there."""
        if self.app is not None and not fnmatchcase(app, self.app):
            return False
        if self.agent is not None and not fnmatchcase(agent, self.agent):
            return False
        if self.tool.startswith(_TAG):
            return self.tool.removeprefix(_TAG) in tags
        return self.tool == tool or (bool(_PATTERN & set(self.tool)) and fnmatchcase(tool, self.tool))


@lru_cache(maxsize=4096)
def parsed(key: str) -> Key:
    """What a key means. Raises InvalidConfiguration."""
    rest = key
    places: dict[str, str | None] = {_APP: None, _AGENT: None}
    for prefix in (_APP, _AGENT):
        if rest.startswith(prefix):
            name, slash, rest = rest.removeprefix(prefix).partition("/")
            if not name or not slash:
                msg = f"policies[{key!r}]: use '{prefix}<name or pattern>/<tool>'"
                raise InvalidConfiguration(msg)
            places[prefix] = name
    if not rest or rest == _TAG or rest.startswith((_APP, _AGENT)):
        msg = f"policies[{key!r}]: use a tool's name, a pattern or 'tag:<tag>', after 'app:<name>/' and 'agent:<name>/'"
        raise InvalidConfiguration(msg)
    app, agent = places[_APP], places[_AGENT]
    place = (0 if app is not None else 1) if agent is not None else (2 if app is not None else 3)
    what = 1 if rest.startswith(_TAG) else 2 if _PATTERN & set(rest) else 0
    return Key(app, agent, rest, (place, what))


class Policies(dict[str, ToolPolicy]):
    """Policies by key; nodes and models of a framework have theirs by their plain name.

    ``budget`` is the one of the file, if it has one.
    """

    budget: Budget | None = None

    @classmethod
    def made(cls, given: Mapping[str, ToolPolicy] | str | Path | None) -> Policies:
        """From a mapping, or from a file. Raises InvalidConfiguration."""
        return _read(Path(given)) if isinstance(given, (str, Path)) else cls(given or {}).checked()

    def checked(self) -> Policies:
        """Itself. Raises InvalidConfiguration for a key that means nothing."""
        for key, policy in self.items():
            parsed(key)
            if policy.tags:
                msg = f"policies[{key!r}]: tags are given where the tool is: @tool(tags=...)"
                raise InvalidConfiguration(msg)
        return self

    def one_budget(self, given: Budget | None) -> Budget | None:
        """The budget that is given beside the policies, or that of their file. Raises InvalidConfiguration for both."""
        if given is not None and self.budget is not None:
            msg = "two budgets: give one in the file of policies, or Runtime(budget=...)"
            raise InvalidConfiguration(msg)
        return given or self.budget

    def of_tool(self, name: str, *, app: str = "", agent: str = "", tags: tuple[str, ...] = ()) -> ToolPolicy | None:
        """The policy of the most specific key that fits; None if none does."""
        fitting = [(key.rank, each) for each in self if (key := parsed(each)).fits(name, app, agent, tags)]
        return self[min(fitting, key=lambda found: found[0])[1]] if fitting else None


def governing(  # noqa: PLR0913 - a tool, and where it is called
    scope: Scope,
    name: str,
    own: ToolPolicy | None,
    *,
    agent: str = "",
    tags: tuple[str, ...] = (),
    also: str = "",
) -> ToolPolicy:
    """The policy under which a tool is called here; ``own`` is what it declares itself.

    ``tags`` are those its framework gives it, ``also`` is another name of it, for where no key fits the first.
    """
    segment = scope.segment
    policies, app = segment.runtime.policies, segment.execution.app
    if not policies:
        return own or ONCE
    known = (*(own.tags if own is not None else ()), *tags)
    found = policies.of_tool(name, app=app, agent=agent or app, tags=known)
    if found is None and also:
        found = policies.of_tool(also, app=app, agent=agent or app, tags=known)
    if found is None or own is None:
        return found or own or ONCE
    kept = {
        field: value
        for field in _CODE
        if (value := getattr(own, field, None)) is not None and getattr(found, field) is None
    }
    return replace(found, **kept) if kept else found


def _read(path: Path) -> Policies:
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
