"""Tool calls: what a framework says of a call, as the step it becomes.

The policy that governs it, the arguments that a rule and a person see, the schema that edited arguments must fit, and
what runs in the end if a person has edited them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from durable.declare.policy import Approval, ToolPolicy
from durable.declare.signature import left_out, plain
from durable.record.kinds import TOOL
from durable.step.call import Call, Pending
from durable.step.facts import facts_of
from durable.step.governing import governing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from durable.live.scope import Scope


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as its framework knows it.

    ``function`` is the plain function inside, if there is one; ``own`` the policy it declares; ``object`` the
    framework's own, where the framework may call it again inside of its own body; ``properties`` are those
    of the JSON Schema that the model sees, by name. ``hidden`` parameters are filled in by the framework. ``tags`` and
    ``also``, another name, are for policies that go by them.
    """

    name: str
    function: Callable[..., Any] | None = None
    own: ToolPolicy | None = None
    object: Any = None
    properties: Mapping[str, Any] | None = None
    hidden: Collection[str] = ()
    tags: tuple[str, ...] = ()
    also: str = ""


def tool_call(
    place: Scope, tool: Tool, arguments: Any, *, identity: str | None, agent: str = "", **options: Any
) -> Call:
    """Return the call of a tool at this place; ``identity`` is the framework's id of it, ``options`` are a Call's."""
    function = None if tool.function is None else plain(tool.function)
    return Call(
        tool.name,
        arguments=arguments,
        defaults=defaults_of(tool, arguments),
        policy=governing(place, tool.name, tool.own, agent=agent, tags=tool.tags, also=tool.also),
        identity=identity,
        agent=agent,
        bodies=tuple(body for body in (tool.object, function) if body is not None),
        scope=place,
        **{"kind": TOOL, **options},
    )


def defaults_of(tool: Tool, arguments: Any) -> dict[str, Any]:
    """Return the defaults that will be filled in for what the model left out, where it could have given it."""
    if not isinstance(arguments, dict):
        return {}
    defaults = {} if tool.function is None else left_out(plain(tool.function), arguments)
    if tool.properties is not None:
        defaults = {name: value for name, value in defaults.items() if name in tool.properties}
        named = {name: about for name, about in tool.properties.items() if name not in arguments}
        defaults |= {name: about["default"] for name, about in named.items() if "default" in about}
    return {name: value for name, value in defaults.items() if name not in tool.hidden}


def asks(call: Call) -> bool:
    """True if the policy of a call asks a person about it."""
    gate = call.policy.gate
    return gate is not None and gate.asks(facts_of(call, call.complete)) is not None


def always_asked(policy: ToolPolicy, rule: str) -> ToolPolicy:
    """Return the policy with its approval asked for whatever the arguments are; ``rule`` names who wants that."""
    gate = policy.gate
    if gate is not None and gate.when is None:
        return policy
    return replace(policy, approval=replace(gate or Approval(), when=None, rule=rule))


def arguments_of(pending: Pending, arguments: Any) -> Any:
    """Return the arguments with which the body runs: those given, unless a person has edited them.

    What the model does not see, and the framework fills in, stays among them.
    """
    if not pending.edited:
        return arguments
    edited = pending.arguments
    return {**arguments, **edited} if isinstance(arguments, dict) and isinstance(edited, dict) else edited
