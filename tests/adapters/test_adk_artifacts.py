"""DurableArtifactService: ADK's contract, as the in-memory service keeps it, in a database."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from google.adk.artifacts.in_memory_artifact_service import InMemoryArtifactService
from google.adk.errors.input_validation_error import InputValidationError
from google.genai import types
from sqlalchemy import select

from durable import Runtime
from durable.adapters.google_adk import DurableArtifactService
from durable.checkpoint import schema

WHO = {"app_name": "app", "user_id": "ann"}


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def service(request):
    if request.param == "memory":
        yield InMemoryArtifactService()
        return
    with Runtime(
        request.getfixturevalue(f"saver_{request.param}_url"), namespace=f"test-{uuid.uuid4().hex}"
    ) as runtime:
        yield DurableArtifactService(runtime)


async def save(service, filename, content, session="s", **options):
    part = types.Part(text=content) if isinstance(content, str) else content
    return await service.save_artifact(**WHO, session_id=session, filename=filename, artifact=part, **options)


async def load(service, filename, session="s", **options):
    found = await service.load_artifact(**WHO, session_id=session, filename=filename, **options)
    return None if found is None else found.text or found


async def test_versions_are_counted_from_zero_and_the_latest_is_loaded(service):
    assert [await save(service, "f", text) for text in ("a", "b", "c")] == [0, 1, 2]
    assert [await load(service, "f", version=n) for n in (None, 0, 2, 3)] == ["c", "a", "c", None]
    assert await service.list_versions(**WHO, session_id="s", filename="f") == [0, 1, 2]
    assert (await load(service, "g"), await load(service, "f", "other")) == (None, None)


async def test_content_comes_back_as_it_was(service):
    picture = types.Part(inline_data=types.Blob(data=bytes(range(256)) * 1000, mime_type="image/png"))
    linked = types.Part(file_data=types.FileData(file_uri="https://example.org/f", mime_type="text/html"))
    await save(service, "picture", picture)
    await save(service, "linked", linked)
    assert (await load(service, "picture"), await load(service, "linked")) == (picture, linked)
    with pytest.raises(InputValidationError):
        await save(service, "nothing", types.Part())


async def test_what_is_known_of_versions(service):
    await save(service, "f", "a", custom_metadata={"by": "ann"})
    await save(service, "f", types.Part(inline_data=types.Blob(data=b"x", mime_type="image/png")))
    first, second = await service.list_artifact_versions(**WHO, session_id="s", filename="f")
    assert (first.version, first.mime_type, first.custom_metadata) == (0, "text/plain", {"by": "ann"})
    assert (second.version, second.mime_type, second.custom_metadata) == (1, "image/png", {})
    assert first.create_time > 0
    latest = await service.get_artifact_version(**WHO, session_id="s", filename="f")
    assert latest.version == 1
    assert await service.get_artifact_version(**WHO, session_id="s", filename="f", version=7) is None


async def test_files_of_the_user_are_seen_in_all_sessions(service):
    await save(service, "user:mine", "a", "1")
    await save(service, "own", "b", "1")
    assert (await load(service, "user:mine", "2"), await load(service, "user:mine", None)) == ("a", "a")
    listed = [await service.list_artifact_keys(**WHO, session_id=session) for session in ("1", "2", None)]
    assert listed == [["own", "user:mine"], ["user:mine"], ["user:mine"]]
    assert await service.list_artifact_keys(app_name="app", user_id="bob") == []
    with pytest.raises(InputValidationError):
        await save(service, "own", "c", None)


async def test_a_deleted_file_is_gone_and_its_name_may_be_used_again(service):
    await save(service, "f", "a")
    for _ in range(2):
        await service.delete_artifact(**WHO, session_id="s", filename="f")
    assert (await load(service, "f"), await service.list_artifact_keys(**WHO, session_id="s")) == (None, [])
    assert await save(service, "f", "b") == 0


async def test_many_that_save_at_once_get_a_version_each(service):
    versions = await asyncio.gather(*(save(service, "f", f"{n}") for n in range(12)))
    assert sorted(versions) == list(range(12))
    for n, version in enumerate(versions):
        assert await load(service, "f", version=version) == f"{n}"


async def test_a_reference_to_another_file_is_followed(service):
    await save(service, "f", "a")
    uri = "artifact://apps/app/users/ann/sessions/s/artifacts/f/versions/0"
    await save(service, "link", types.Part(file_data=types.FileData(file_uri=uri)))
    assert await load(service, "link") == "a"


async def test_large_content_is_kept_once_and_goes_with_the_last_version_that_has_it(saver_runtime):
    service, db = DurableArtifactService(saver_runtime), saver_runtime.database

    def kept():
        with db.read() as connection:
            return set(connection.execute(select(schema.blobs.c.digest)).scalars()) - before

    before = set()
    before = kept()
    large, other = "x" * 100_000, "y" * 100_000
    for name, session, content in (("f", "s", large), ("f", "s", other), ("g", "s", large), ("f", "t", large)):
        await save(service, name, content, session)
    stranger = {"app_name": "app", "user_id": "bob", "session_id": "s", "filename": "f"}
    await service.save_artifact(**stranger, artifact=types.Part(text=large))
    assert len(kept()) == 3
    await service.delete_artifact(**WHO, session_id="s", filename="f")
    assert len(kept()) == 2
    assert await load(service, "g") == await load(service, "f", "t") == large
    await service.delete_artifact(**WHO, session_id="s", filename="g")
    await service.delete_artifact(**WHO, session_id="t", filename="f")
    assert len(kept()) == 1
    assert (await service.load_artifact(**stranger)).text == large
    assert await service.list_artifact_keys(**WHO, session_id="s") == []
