"""Policies: which one governs a call. The most specific counts, and it counts whole.

A key is the name of a tool, a pattern (``refund*``), or ``tag:money``. It holds everywhere, or in one app
(``app:billing/refund*``), for one agent (``agent:clerk/refund*``), or both (``app:billing/agent:clerk/refund*``), each
by name or pattern. Of the keys that fit, those for an app and an agent count before those for an agent, then for an
app, then for everywhere. Among these a name counts before a tag, and a tag before a pattern; then the first in order. A
policy that the tool declares itself holds where no key fits. ``reconcile``, ``idempotency_key`` and ``compensate`` can
only be code: where the governing policy does not give them, the tool's own stay.

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


_RANKS = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}
"""Rank of a key by whether it is for one agent, and for one app: the smaller is the more specific."""


_CODE = ("reconcile", "idempotency_key", "compensate")


@dataclass(frozen=True, slots=True)
class Key:
    """Meaning of a key. ``rank`` is smaller for what is more specific."""

    app: str | None
    agent: str | None
    tool: str
    rank: tuple[int, int]

    def fits(self, tool: str, app: str, agent: str, tags: tuple[str, ...]) -> bool:
        """True if it is for a call of this tool, there."""
        if self.app is not None and not fnmatchcase(app, self.app):
            return False
        if self.agent is not None and not fnmatchcase(agent, self.agent):
            return False
        if self.tool.startswith(_TAG):
            return self.tool.removeprefix(_TAG) in tags
        return self.tool == tool or (bool(_PATTERN & set(self.tool)) and fnmatchcase(tool, self.tool))


@lru_cache(maxsize=4096)
def parsed(key: str) -> Key:
    """Return what a key means. Raises InvalidConfiguration."""
    app, after_app = _scope(key, key, _APP)
    agent, tool = _scope(key, after_app, _AGENT)
    if not tool or tool == _TAG or tool.startswith((_APP, _AGENT)):
        msg = f"policies[{key!r}]: use a tool's name, a pattern or 'tag:<tag>', after 'app:<name>/' and 'agent:<name>/'"
        raise InvalidConfiguration(msg)
    return Key(app, agent, tool, (_RANKS[agent is not None, app is not None], _tool_rank(tool)))


def _scope(key: str, text: str, prefix: str) -> tuple[str | None, str]:
    """Return the name behind ``prefix`` (None if the text has no such prefix), and the text after it."""
    if not text.startswith(prefix):
        return None, text
    name, slash, remainder = text.removeprefix(prefix).partition("/")
    if not name or not slash:
        msg = f"policies[{key!r}]: use '{prefix}<name or pattern>/<tool>'"
        raise InvalidConfiguration(msg)
    return name, remainder


def _tool_rank(tool: str) -> int:
    if tool.startswith(_TAG):
        return 1
    return 2 if _PATTERN & set(tool) else 0


class Policies(dict[str, ToolPolicy]):
    """Policies by key; nodes and models of a framework have theirs by their plain name.

    ``budget`` is the one of the file, if it has one.
    """

    budget: Budget | None = None

    def checked(self) -> Policies:
        """Return itself. Raises InvalidConfiguration for a key that means nothing."""
        for key, policy in self.items():
            parsed(key)
            if policy.tags:
                msg = f"policies[{key!r}]: tags are given where the tool is: @tool(tags=...)"
                raise InvalidConfiguration(msg)
        return self

    def one_budget(self, beside: Budget | None) -> Budget | None:
        """Return the budget given beside the policies, or that of their file. Raises InvalidConfiguration for both."""
        if beside is not None and self.budget is not None:
            msg = "two budgets: give one in the file of policies, or Runtime(budget=...)"
            raise InvalidConfiguration(msg)
        return beside or self.budget

    def of_tool(self, name: str, *, app: str = "", agent: str = "", tags: tuple[str, ...] = ()) -> ToolPolicy | None:
        """Return the policy of the most specific key that fits; None if none does."""
        fitting = [key for key in self if parsed(key).fits(name, app, agent, tags)]
        return self[min(fitting, key=lambda key: parsed(key).rank)] if fitting else None


def with_code_of(own: ToolPolicy, governing: ToolPolicy) -> ToolPolicy:
    """Return ``governing`` with what only code can say (``reconcile``, ...) taken from the tool's own policy."""
    code = {}
    for field in _CODE:
        value = getattr(own, field, None)
        if value is not None and getattr(governing, field) is None:
            code[field] = value
    return replace(governing, **code) if code else governing
