"""DurableArtifactService: ADK's artifacts in our database, each version stored once.

A file is a session of versions: its row gives out their numbers, so two that save at once get two versions, whoever
they are. Content larger than 64 KB is kept by what it is, once for each user, and goes with the last version that has
it. Inside an execution a version commits with a record of the journal; a tool that is answered from the journal saves
nothing again.

Source: google.adk.artifacts.BaseArtifactService, and what InMemoryArtifactService does.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from google.adk.artifacts import artifact_util
from google.adk.artifacts.base_artifact_service import ArtifactVersion, BaseArtifactService, ensure_part
from google.adk.errors.input_validation_error import InputValidationError
from google.genai import types

from durable.adapters.google_adk.state.notes import ArtifactDeleted, ArtifactSaved
from durable.checkpoint.state import blobs, sessions
from durable.checkpoint.state.sessions import NewItem, SessionPlace
from durable.declare.ids import checked
from durable.kit import commit, owner_of

if TYPE_CHECKING:
    from durable.checkpoint.state.sessions import Item
    from durable.runtime import Runtime

_USER = "user:"
"""Files whose names begin so belong to the user, in all sessions."""


class _File(NamedTuple):
    app: str
    user: str
    session: str | None
    name: str

    @property
    def folder(self) -> str:
        session = "" if self.session is None else f"/sessions/{self.session}"
        return f"durable://apps/{self.app}/users/{self.user}{session}/artifacts/{self.name}/versions"


class DurableArtifactService(BaseArtifactService):
    """Artifact service on a runtime's database. Give it to a ``Runner``, or let ``durable_runner`` do it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def save_artifact(  # noqa: PLR0913 - ADK's signature
        self,
        *,
        app_name: str,
        user_id: str,
        filename: str,
        artifact: types.Part | dict[str, Any],
        session_id: str | None = None,
        custom_metadata: dict[str, Any] | None = None,
    ) -> int:
        """Save a new version and return its number, from 0. Raises InputValidationError for what no file can hold."""
        file, part = _file(app_name, user_id, filename, session_id), ensure_part(artifact)
        about = {"mime_type": _mime_type(part, file), "custom_metadata": custom_metadata or {}}
        return await self._runtime.database.surely_on_journal_thread(self._save, file, part, about)

    def _save(self, file: _File, part: types.Part, about: dict[str, Any]) -> int:
        db, place = self._runtime.database, self._place(file)
        dumped = self._runtime.codec.encode(part.model_dump(mode="json", exclude_none=True), what=file.name)
        # with the names of its owner before it, no blob is that of anybody else
        stored, keep = blobs.stash(db, json.dumps([place.namespace, place.app, place.user]).encode() + b"\n" + dumped)

        def save(connection: Any) -> int:
            if keep is not None:
                self._hold_contents(connection, place)
                keep(connection)
            body = json.dumps({**about, "create_time": db.clock()}).encode() + b"\n" + stored
            return sessions.append(db, connection, place, [NewItem(body)], make=True).revision - 1

        return commit(self._runtime, ArtifactSaved(file=file.name), save, owner=owner_of(self._runtime))

    async def load_artifact(
        self,
        *,
        app_name: str,
        user_id: str,
        filename: str,
        session_id: str | None = None,
        version: int | None = None,
    ) -> types.Part | None:
        """Return the content of a version, or of the latest; None if there is none. References are followed."""
        file, depth = _file(app_name, user_id, filename, session_id), artifact_util._MAX_ARTIFACT_REFERENCE_DEPTH
        return await self._runtime.database.on_journal_thread(self._load, file, version, depth)

    def _load(self, file: _File, version: int | None, depth: int) -> types.Part | None:
        item = self._version(file, version)
        if item is None:
            return None
        content = blobs.fetch(self._runtime.database, _stored(item)).partition(b"\n")[2]
        part = types.Part.model_validate(self._runtime.codec.decode(content))
        if artifact_util.is_artifact_ref(part) and part.file_data is not None:
            reference = artifact_util.resolve_artifact_reference(
                file_uri=part.file_data.file_uri or "",
                app_name=file.app,
                user_id=file.user,
                session_id=file.session,
                remaining_depth=depth,
            )
            target = _file(reference.app_name, reference.user_id, reference.filename, reference.session_id)
            return self._load(target, reference.version, depth - 1)
        return None if part == types.Part() or artifact_util._is_rewind_tombstone(part) else part

    async def list_artifact_keys(self, *, app_name: str, user_id: str, session_id: str | None = None) -> list[str]:
        """Return the names of the user's files, and of those of the session."""

        def find() -> list[str]:
            app = _app(app_name)
            with self._runtime.database.read() as connection:
                files = sessions.find(connection, self._runtime.namespace, app, user=user_id)
            named = [json.loads(each.place.id) for each in files]
            return sorted(name for session, name in named if session in {None, session_id})

        return await self._runtime.database.on_journal_thread(find)

    async def delete_artifact(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None
    ) -> None:
        """Delete all versions of a file."""
        place = self._place(_file(app_name, user_id, filename, session_id))
        about = ArtifactDeleted(file=filename)
        drop = partial(commit, self._runtime, about, partial(self._drop, place), owner=owner_of(self._runtime))
        await self._runtime.database.surely_on_journal_thread(drop)

    def _drop(self, place: SessionPlace, connection: Any) -> None:
        session = sessions.get(connection, place)
        if session is None:
            return
        self._hold_contents(connection, place)
        stored = {_stored(item) for item in sessions.read(connection, session)}
        sessions.drop(connection, place)
        references = {each for each in stored if blobs.is_reference(each)}
        blobs.discard(connection, references - sessions.ending(connection, place, references))

    def _hold_contents(self, connection: Any, place: SessionPlace) -> None:
        """Nobody else refers to large content of this user, or deletes it, until the end of the transaction."""
        contents = SessionPlace(place.namespace, f"contents:{place.app}", place.user, "")
        sessions.append(self._runtime.database, connection, contents, [], make=True)

    async def list_versions(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None
    ) -> list[int]:
        """Return the numbers of all versions."""
        versions = await self.list_artifact_versions(
            app_name=app_name, user_id=user_id, filename=filename, session_id=session_id
        )
        return [each.version for each in versions]

    async def list_artifact_versions(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None
    ) -> list[ArtifactVersion]:
        """Return all versions and what is known of them, oldest first."""
        file = _file(app_name, user_id, filename, session_id)
        items = await self._runtime.database.on_journal_thread(self._versions, file)
        return [_described(file, item) for item in items]

    async def get_artifact_version(
        self,
        *,
        app_name: str,
        user_id: str,
        filename: str,
        session_id: str | None = None,
        version: int | None = None,
    ) -> ArtifactVersion | None:
        """Return what is known of a version, or of the latest; None if there is none."""
        file = _file(app_name, user_id, filename, session_id)
        item = await self._runtime.database.on_journal_thread(self._version, file, version)
        return None if item is None else _described(file, item)

    def _version(self, file: _File, version: int | None) -> Item | None:
        latest = self._versions(file, last=1, revision=None if version is None else version + 1)
        return latest[0] if latest and version in {None, latest[0].seq - 1} else None

    def _versions(self, file: _File, **limits: int | None) -> list[Item]:
        with self._runtime.database.read() as connection:
            session = sessions.get(connection, self._place(file))
            return [] if session is None else sessions.read(connection, session, **limits)

    def _place(self, file: _File) -> SessionPlace:
        name = json.dumps([file.session, file.name], ensure_ascii=False)
        return SessionPlace(self._runtime.namespace, _app(file.app), file.user, name)


def _app(app_name: str) -> str:
    return f"artifacts:{app_name}"  # no app of ADK's can have this name


def _file(app_name: str, user_id: str, filename: str, session_id: str | None) -> _File:
    for value, meaning in ((app_name, "app_name"), (user_id, "user_id"), (session_id, "session_id")):
        if value is not None:
            artifact_util.validate_path_segment(value, meaning)
    checked(filename, "the file's name")
    if filename.startswith(_USER):
        return _File(app_name, user_id, None, filename)
    if session_id is None:
        msg = "Session ID must be provided for session-scoped artifacts."
        raise InputValidationError(msg)
    return _File(app_name, user_id, session_id, filename)


def _mime_type(part: types.Part, file: _File) -> str | None:
    if part.inline_data is not None:
        return part.inline_data.mime_type
    if part.text is not None:
        return "text/plain"
    if part.file_data is None:
        msg = "Not supported artifact type."
        raise InputValidationError(msg)
    if not artifact_util.is_artifact_ref(part):
        return part.file_data.mime_type
    parsed = artifact_util.parse_artifact_uri(part.file_data.file_uri or "")
    if not parsed:
        msg = f"Invalid artifact reference URI: {part.file_data.file_uri}"
        raise InputValidationError(msg)
    artifact_util.validate_artifact_reference_scope(
        app_name=file.app, user_id=file.user, session_id=file.session, parsed_uri=parsed
    )
    return None


def _stored(item: Item) -> bytes:
    return item.body.partition(b"\n")[2]


def _described(file: _File, item: Item) -> ArtifactVersion:
    about = json.loads(item.body.partition(b"\n")[0])
    return ArtifactVersion(version=item.seq - 1, canonical_uri=f"{file.folder}/{item.seq - 1}", **about)
