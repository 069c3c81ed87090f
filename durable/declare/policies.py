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
from typing import TYPE_CHECKING

from durable.declare.policy import ToolPolicy
from durable.errors import InvalidConfiguration

if TYPE_CHECKING:
    from durable.declare.budget import Budget


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


def with_code_of(own: ToolPolicy, governing: ToolPolicy) -> ToolPolicy:
    """Return ``governing`` with what only code can say (``reconcile``, ...) taken from the tool's own policy."""
    kept = {
        field: value
        for field in _CODE
        if (value := getattr(own, field, None)) is not None and getattr(governing, field) is None
    }
    return replace(governing, **kept) if kept else governing
