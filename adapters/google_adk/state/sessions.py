"""DurableSessionService: ADK's sessions in our database, in the order in which they were stored.

Order and staleness go by the session's own count, never by the clocks of those who write. An event that is appended
again (same id, same content) changes nothing. Inside an execution an event, its state deltas and its record in the
journal commit in one transaction, so an owner that has lost its claim writes nothing. Outside of executions a caller
whose session is older than the stored one gets StaleSessionError, as from ADK's own database service.

Sync logic runs on the database's own threads; the event loop never waits for it.

Source: google.adk.sessions.BaseSessionService, and what InMemory- and DatabaseSessionService do.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.platform import uuid as platform_uuid
from google.adk.sessions._session_util import extract_json_safe_state_delta
from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig, ListSessionsResponse
from google.adk.sessions.session import Session
from google.adk.sessions.state import State

from durable.adapters.google_adk.state.notes import SessionCreated, SessionDeleted
from durable.checkpoint.state import sessions
from durable.checkpoint.state.sessions import NewItem, SessionPlace
from durable.declare.ids import checked
from durable.errors import SessionChanged, SessionExists, SessionNotFound
from durable.kit import commit, owner_of
from durable.record.events import SessionEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from durable.record.events import Note
    from durable.runtime import Runtime

T = TypeVar("T")

when_made: list[Callable[[], None]] = []
"""What is done when a service is made: ADK's server is loaded by then, if it is the one that makes it."""


class DurableSessionService(BaseSessionService):
    """Session service on a runtime's database. Give it to a ``Runner``, or let ``durable_runner`` do it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = self.runtime = runtime
        self._turns: WeakValueDictionary[SessionPlace, threading.Lock] = WeakValueDictionary()
        self._giving = threading.Lock()
        for do in when_made:
            do()

    async def create_session(
        self,
        *,
        app_name: str,
        user_id: str,
        state: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> Session:
        """Create a session and return it. Raises AlreadyExistsError, InvalidId for names that no database can hold."""
        wanted_id = (session_id or "").strip()
        place = self._place(app_name, user_id, wanted_id or platform_uuid.new_uuid())
        deltas = extract_json_safe_state_delta(state or {})

        def create(connection: Any) -> Session:
            created = sessions.create(self._runtime.database, connection, place)
            self._keep_state(connection, place, deltas)
            return self._shown(connection, [created])[0]

        try:
            return await self._write(SessionCreated(session=place.id), create)
        except SessionExists as exc:
            msg = f"Session with id {place.id} already exists."
            raise AlreadyExistsError(msg) from exc

    async def get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> Session | None:
        """Return the session with its events, oldest first; None if there is none."""
        place = self._place(app_name, user_id, session_id.strip())
        return await self._runtime.database.on_journal_thread(self._get, place, config or GetSessionConfig())

    def _get(self, place: SessionPlace, config: GetSessionConfig) -> Session | None:
        with self._runtime.database.read() as connection:
            row = sessions.get(connection, place)
            if row is None:
                return None
            items = sessions.read(connection, row, last=config.num_recent_events, after=config.after_timestamp)
            (session,) = self._shown(connection, [row])
        session.events = [Event.model_validate(self._runtime.codec.decode(item.body)) for item in items]
        return session

    def has(self, *, app_name: str, user_id: str, session_id: str) -> bool:
        """True if there is such a session. Blocks."""
        place = self._place(app_name, user_id, session_id.strip())
        with self._runtime.database.read() as connection:
            return sessions.get(connection, place) is not None

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        """Return the sessions of an app, or of one of its users, without events, the one written to last at the end."""

        def find() -> list[Session]:
            with self._runtime.database.read() as connection:
                rows = sessions.find(connection, self._runtime.namespace, app_name, user=user_id)
                return self._shown(connection, rows)

        return ListSessionsResponse(sessions=await self._runtime.database.on_journal_thread(find))

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Delete the session, its events and its own state, if it is there."""
        place = self._place(app_name, user_id, session_id.strip())
        deleted = SessionDeleted(session=place.id)
        await self._write(deleted, lambda connection: sessions.drop(connection, place))

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """Return the state of a user in all sessions of an app, by keys without prefix."""

        def read() -> dict[str, Any]:
            with self._runtime.database.read() as connection:
                (values,) = sessions.state(connection, self._runtime.namespace, (app_name, user_id))
            return self._decoded(values)

        return await self._runtime.database.on_journal_thread(read)

    async def append_event(self, session: Session, event: Event) -> Event:
        """Append an event and apply its state delta; durable when it returns. Partial events are not kept.

        Raises SessionNotFoundError, StaleSessionError outside of executions, ItemConflict for a known event id with
        another content, LeaseLost, StorageError; then nothing was written.
        """
        if event.partial:
            return event
        place = self._place(session.app_name, session.user_id, session.id)
        self._apply_temp_state(session, event)
        event = self._trim_temp_delta_state(event)
        owner = owner_of(self._runtime)
        with nullcontext() if owner is None else owner.working():
            appended = await self._runtime.database.surely_on_journal_thread(self._append, place, session, event)
        return self._commit_event_to_session(session, event) if appended else event

    def _append(self, place: SessionPlace, session: Session, event: Event) -> bool:
        deltas = extract_json_safe_state_delta(event.actions.state_delta or {})
        item = self._item(event)
        owner = owner_of(self._runtime)
        about = SessionEvent(event=event.id, session=place.id)

        def append(connection: Any) -> tuple[sessions.Session, bool]:
            before = sessions.hold(connection, place)
            marker = session._storage_update_marker if owner is None else None
            expect = None if marker is None else int(marker)
            after = sessions.add(self._runtime.database, connection, before, [item], expect=expect, at=event.timestamp)
            if after.revision != before.revision:
                self._keep_state(connection, place, deltas)
            return after, after.revision != before.revision

        with self._turn(place):
            try:
                stored, new = commit(self._runtime, about, append, owner=owner)
            except SessionNotFound as exc:
                msg = f"Session {place.id} not found."
                raise SessionNotFoundError(msg) from exc
            except SessionChanged as exc:
                raise StaleSessionError(str(exc)) from exc
            if new:
                session._storage_update_marker = str(stored.revision)
                session.last_update_time = stored.updated_at
        return new

    def _item(self, event: Event) -> NewItem:
        body = self._runtime.codec.encode(event.model_dump(mode="json", exclude_none=True), what="the event")
        return NewItem(body, event.id, event.timestamp)

    async def _write(self, about: Note, change: Callable[[Any], T]) -> T:
        write = partial(commit, self._runtime, about, change, owner=owner_of(self._runtime))
        return await self._runtime.database.surely_on_journal_thread(write)

    def _turn(self, place: SessionPlace) -> threading.Lock:
        """One append at a time: the next one must see the revision that the one before has left in the session."""
        with self._giving:
            return self._turns.setdefault(place, threading.Lock())

    def _place(self, app_name: str, user_id: str, session_id: str) -> SessionPlace:
        return SessionPlace(
            self._runtime.namespace,
            checked(app_name, "app_name"),
            checked(user_id, "user_id"),
            checked(session_id, "session_id"),
        )

    def _keep_state(self, connection: Any, place: SessionPlace, deltas: Mapping[str, Mapping[str, Any]]) -> None:
        app, user, own = _scopes(place)
        for scope, delta in ((app, deltas["app"]), (user, deltas["user"]), (own, deltas["session"])):
            encoded = {key: self._runtime.codec.encode(value, what=f"state {key!r}") for key, value in delta.items()}
            sessions.keep_state(connection, place.namespace, scope, encoded)

    def _shown(self, connection: Any, rows: Sequence[sessions.Session]) -> list[Session]:
        """Return the sessions as ADK has them, without their events."""
        scopes = {scope: None for each in rows for scope in _scopes(each.place)}
        by_scope = dict(zip(scopes, sessions.state(connection, self._runtime.namespace, *scopes), strict=True))
        return [self._made(each, *(by_scope[scope] for scope in _scopes(each.place))) for each in rows]

    def _made(
        self, row: sessions.Session, app: Mapping[str, bytes], user: Mapping[str, bytes], own: Mapping[str, bytes]
    ) -> Session:
        place, state = row.place, self._decoded(own)
        state |= {State.APP_PREFIX + key: value for key, value in self._decoded(app).items()}
        state |= {State.USER_PREFIX + key: value for key, value in self._decoded(user).items()}
        session = Session(
            app_name=place.app, user_id=place.user, id=place.id, state=state, last_update_time=row.updated_at
        )
        session._storage_update_marker = str(row.revision)
        return session

    def _decoded(self, encoded: Mapping[str, bytes]) -> dict[str, Any]:
        return {key: self._runtime.codec.decode(value) for key, value in encoded.items()}


def _scopes(place: SessionPlace) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return (place.app,), (place.app, place.user), (place.app, place.user, place.id)
