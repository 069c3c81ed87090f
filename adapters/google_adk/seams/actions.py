"""Actions: what a tool asks ADK to do besides returning a result, recorded with it and restored with it.

State and artifact deltas of a call that is answered from the journal are the ones it made, applied once, because ADK
keeps them with the merged event of its turn, which is stored whole or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.adk.events.event_actions import EventActions
from google.adk.sessions._session_util import make_json_safe_state

if TYPE_CHECKING:
    from google.adk.agents.context import Context

_DELTAS = frozenset({"state_delta", "artifact_delta"})


def actions_of(context: Context, before: EventActions) -> dict[str, Any]:
    """What changed in the actions since ``before``, as JSON."""
    now = context.actions.model_dump(mode="json", exclude_none=True, exclude=set(_DELTAS))
    then = before.model_dump(mode="json", exclude_none=True, exclude=set(_DELTAS))
    changed = {key: value for key, value in now.items() if value != then.get(key)}
    for name in _DELTAS:
        known = getattr(before, name)
        new = {k: v for k, v in getattr(context.actions, name).items() if k not in known or known[k] != v}
        if new:
            changed[name] = make_json_safe_state(new)
    return changed


def restore(context: Context, changed: dict[str, Any]) -> None:
    """Apply recorded changes to the actions of a call that did not run."""
    for key, value in (changed.get("state_delta") or {}).items():
        context.state[key] = value
    context.actions.artifact_delta.update(changed.get("artifact_delta") or {})
    rest = {key: value for key, value in changed.items() if key not in _DELTAS}
    whole = EventActions.model_validate(rest)
    for key in rest:
        setattr(context.actions, key, getattr(whole, key))
