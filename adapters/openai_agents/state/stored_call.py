"""Calls: what an execution was started with, as far as a worker can go on with it.

A worker rebuilds the context with the factory the agent was wrapped with, and a session from its id. What was given
to one call and cannot be rebuilt (hooks, a config object, a context of a type that is not on the allow-list) is kept
by name: a worker stops at it, the same call with the same execution id goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.run_config import DEFAULT_MAX_TURNS
from agents.run_state import RunState

from durable.adapters.openai_agents.state.run_context import say_if_not_followed
from durable.checkpoint.codec.names import stored_as
from durable.errors import CodecError, InvalidConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.runtime import Runtime

_STORED = {
    "max_turns": DEFAULT_MAX_TURNS,
    "previous_response_id": None,
    "auto_previous_response_id": False,
    "conversation_id": None,
}
"""Options of a call that are stored, unless they are the SDK's defaults: ``run_sync`` names them, ``run`` does not."""
_LIVE = ("hooks", "error_handlers", "run_config")


@stored_as("durable.adapters.openai_agents.calls:AgentCall")
@dataclass(frozen=True)
class AgentCall:
    """Input of an execution: the agent's, and the options of the call that can be stored.

    ``state`` is the JSON of a ``RunState`` to go on from. ``unkept`` names the options that cannot be stored.
    """

    input: Any = None
    context: Any = None
    session_id: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    state: Any = None
    unkept: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """How a worker makes what a call cannot store: factories, and what holds for every run."""

    context: Callable[[Any], Any] | None = None
    session: Callable[[str], Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def call_of(runtime: Runtime, rebuilding: Rebuilding, agent_input: Any, options: Mapping[str, Any]) -> AgentCall:
    """Return what is stored of a call. Raises NotEncodable for a context that a factory needs and cannot get."""
    stored = {name: options[name] for name, usual in _STORED.items() if options.get(name, usual) != usual}
    unkept = {name: _named(options[name]) for name in _LIVE if options.get(name) is not None}
    run_config = options.get("run_config")
    if isinstance(run_config, dict) and _stores(runtime, run_config):
        stored["run_config"] = run_config
        del unkept["run_config"]
    context, session = options.get("context"), options.get("session")
    say_if_not_followed(context)
    if rebuilding.context is None and not _stores(runtime, context):
        unkept["context"], context = _named(context), None
    if session is not None and rebuilding.session is None:
        unkept["session"] = _named(session)
    state = agent_input.to_json(strict_context=False) if isinstance(agent_input, RunState) else None
    return AgentCall(agent_input if state is None else None, context, _id_of(session), stored, state, unkept)


def stored_call(stored_input: Any) -> AgentCall:
    """Return the call of an execution, also of one started without ``durable_agent``: a text, items, or a mapping."""
    if isinstance(stored_input, AgentCall):
        return stored_input
    if isinstance(stored_input, Mapping):
        try:
            return AgentCall(**stored_input)
        except TypeError as exc:
            msg = f"the input of an agent is a text, a list of items, or a mapping of input, context, options: {exc}"
            raise InvalidConfiguration(msg) from exc
    return AgentCall(stored_input)


def rebuilt(call: AgentCall, rebuilding: Rebuilding) -> dict[str, Any]:
    """Return the options with which a worker goes on."""
    options = {**rebuilding.options, **call.options}
    if call.context is not None or rebuilding.context is not None:
        options["context"] = call.context if rebuilding.context is None else rebuilding.context(call.context)
    if call.session_id is not None and rebuilding.session is not None:
        options["session"] = rebuilding.session(call.session_id)
    return options


def live(rebuilding: Rebuilding, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with which the process that made the call runs it."""
    combined = {**rebuilding.options, **options}
    if rebuilding.context is not None:
        combined["context"] = rebuilding.context(options.get("context"))
    return combined


def _id_of(session: Any) -> str | None:
    """Return the id of a session; None for one that gets it with its first use (a conversation that a server keeps)."""
    try:
        return None if session is None else str(session.session_id)
    except Exception:  # noqa: BLE001 - it says in its own way that it has none yet
        return None


def _named(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _stores(runtime: Runtime, value: Any) -> bool:
    try:
        runtime.codec.encode(value)
    except CodecError:
        return False
    return True
