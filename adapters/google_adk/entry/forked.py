"""A fork of an invocation: a session of its own, with the events that were there at the point.

The events of the invocation itself get the id of the fork, with which ADK goes on in it. State of the session that an
event beyond the point has changed is what the last event before it made it; state of the user and of the app is shared.
Artifacts stay with the session they were saved in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from google.adk.events.event import Event
from google.adk.sessions.state import State

from durable.adapters.google_adk.entry.runs import AdkCall, thread_of
from durable.checkpoint.state import sessions
from durable.checkpoint.state.sessions import NewItem, SessionPlace
from durable.record.events import SessionEvent, unpack_if
from durable.run.branch import Carried

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from durable.run.branch import Branch
    from durable.runtime import Runtime


def forked(runtime: Runtime, app_name: str, branch: Branch) -> Carried:
    """Return what goes with a fork: the same message, in a session that has the id of the fork."""
    call = AdkCall.of(branch.execution.input)
    source = SessionPlace(runtime.namespace, app_name, call.user_id, call.session_id)
    target = replace(source, id=branch.new_id)
    again = replace(call, session_id=branch.new_id)

    def copy(connection: Any) -> None:
        session = sessions.get(connection, source)
        if session is None:
            return
        events = [Event.model_validate(runtime.codec.decode(item.body)) for item in sessions.read(connection, session)]
        kept, left = _divided(events, branch)
        made = sessions.create(runtime.database, connection, target)
        sessions.add(runtime.database, connection, made, [_item(runtime, event, branch) for event in kept])
        scope = (source.app, source.user, source.id)
        (state,) = sessions.state(connection, source.namespace, scope)
        values = _state(runtime, state, kept, left)
        sessions.keep_state(connection, target.namespace, (target.app, target.user, target.id), values)

    return Carried(again, thread_of(again), companions=(copy,))


def _divided(events: Sequence[Event], branch: Branch) -> tuple[list[Event], list[Event]]:
    """The events that were there at the point, and those that came later."""
    stored = (unpack_if(record, SessionEvent) for record in branch.kept)
    at_the_point = {event.event for event in stored if event is not None}
    own = [event.invocation_id == branch.execution.id for event in events]
    first = own.index(True) if True in own else len(events)
    kept = [event for place, event in enumerate(events) if place < first or (own[place] and event.id in at_the_point)]
    known = {id(event) for event in kept}
    return kept, [event for event in events if id(event) not in known]


def _item(runtime: Runtime, event: Event, branch: Branch) -> NewItem:
    invocation = branch.new_id if event.invocation_id == branch.execution.id else event.invocation_id
    dumped = event.model_copy(update={"invocation_id": invocation}).model_dump(mode="json", exclude_none=True)
    return NewItem(runtime.codec.encode(dumped, what="the event"), event.id, event.timestamp)


def _state(
    runtime: Runtime, now: Mapping[str, bytes], kept: Sequence[Event], left: Sequence[Event]
) -> dict[str, bytes]:
    """The session's own state at the point, encoded."""
    changed = {key for event in left for key in _own_delta(event)}
    before: dict[str, Any] = {}
    for event in kept:
        before |= _own_delta(event)
    restored = {key: runtime.codec.encode(before[key], what=f"state {key!r}") for key in changed & before.keys()}
    return {key: value for key, value in now.items() if key not in changed} | restored


def _own_delta(event: Event) -> dict[str, Any]:
    shared = (State.APP_PREFIX, State.USER_PREFIX, State.TEMP_PREFIX)
    return {key: value for key, value in event.actions.state_delta.items() if not key.startswith(shared)}
