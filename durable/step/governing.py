"""Governing: the policy under which a tool is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.declare.policies import with_code_of
from durable.declare.policy import ONCE, ToolPolicy

if TYPE_CHECKING:
    from durable.live.scope import Scope


def governing(  # noqa: PLR0913 - a tool, and where it is called
    scope: Scope,
    name: str,
    own: ToolPolicy | None,
    *,
    agent: str = "",
    tags: tuple[str, ...] = (),
    also: str = "",
) -> ToolPolicy:
    """Return the policy under which a tool is called here; ``own`` is what it declares itself.

    ``tags`` are those its framework gives it, ``also`` is another name of it, for where no key fits the first.
    """
    segment = scope.segment
    policies, app = segment.runtime.policies, segment.execution.app
    if not policies:
        return own or ONCE
    if own is not None:
        tags = (*own.tags, *tags)
    agent = agent or app
    rule = policies.of_tool(name, app=app, agent=agent, tags=tags)
    if rule is None and also:
        rule = policies.of_tool(also, app=app, agent=agent, tags=tags)
    if rule is None:
        return own or ONCE
    return rule if own is None else with_code_of(own, rule)
