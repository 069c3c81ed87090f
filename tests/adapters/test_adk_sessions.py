"""DurableSessionService: ADK's contract, whatever the clocks say and whoever writes at the same time."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.sessions.base_session_service import GetSessionConfig
from google.adk.sessions.database_session_service import DatabaseSessionService
from google.adk.sessions.in_memory_session_service import InMemorySessionService
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai import types

from durable import Runtime
from durable.adapters.google_adk import DurableSessionService
from durable.errors import InvalidId, ItemConflict

WHO = {"app_name": "app", "user_id": "ann"}


@pytest.fixture
def service(saver_runtime):
    return DurableSessionService(saver_runtime)


ADK = {
    "adk memory": lambda _: InMemorySessionService(),
    "adk sqlite": lambda path: SqliteSessionService(str(path)),
    "adk database": lambda path: DatabaseSessionService(f"sqlite+aiosqlite:///{path}"),
}


@pytest.fixture(params=[*ADK, "sqlite", "postgres"])
async def either(request, tmp_path):
    """What holds for all: ADK's own services are the reference."""
    if request.param in ADK:
        made = ADK[request.param](tmp_path / "adk.db")
        yield made
        if isinstance(made, DatabaseSessionService):
            await made.close()
        return
    with Runtime(
        request.getfixturevalue(f"saver_{request.param}_url"), namespace=f"test-{uuid.uuid4().hex}"
    ) as runtime:
        yield DurableSessionService(runtime)


def said(words, **options):
    content = types.Content(role="user", parts=[types.Part(text=words)])
    return Event(author="user", invocation_id="i", content=content, **options)


def changing(**delta):
    return Event(author="agent", invocation_id="i", actions=EventActions(state_delta=delta))


async def read(service, session_id="s", **config):
    return await service.get_session(**WHO, session_id=session_id, config=GetSessionConfig(**config))


def words(session):
    return [event.content.parts[0].text for event in session.events]


async def test_a_session_is_made_once_and_read_back(either):
    made = await either.create_session(**WHO, session_id="s", state={"k": 1})
    assert (made.id, made.state, made.events) == ("s", {"k": 1}, [])
    assert (await read(either)).state == {"k": 1}
    with pytest.raises(AlreadyExistsError):
        await either.create_session(**WHO, session_id="s")
    assert await read(either, "missing") is None
    other, another = await either.create_session(**WHO), await either.create_session(**WHO)
    assert other.id != another.id


async def test_an_id_is_stripped_as_the_in_memory_service_does(service):
    assert (await service.create_session(**WHO, session_id=" s ")).id == "s"


async def test_state_is_shared_by_scope_and_temporary_state_is_not_kept(either):
    first = await either.create_session(**WHO, session_id="1", state={"app:a": 1, "user:u": 1, "s": 1})
    await either.append_event(first, changing(**{"app:a": 2, "user:u": 2, "s": 2, "temp:t": 2, "none": None}))
    assert first.state == {"app:a": 2, "user:u": 2, "s": 2, "temp:t": 2, "none": None}
    assert (await read(either, "1")).state == {"app:a": 2, "user:u": 2, "s": 2, "none": None}
    second = await either.create_session(**WHO, session_id="2")
    assert second.state == {"app:a": 2, "user:u": 2}
    stranger = await either.create_session(app_name="app", user_id="bob", session_id="3")
    assert stranger.state == {"app:a": 2}
    assert await either.get_user_state(**WHO) == {"u": 2}
    assert await either.get_user_state(app_name="app", user_id="nobody") == {}


async def test_an_event_comes_back_as_it_was(either):
    session = await either.create_session(**WHO, session_id="s")
    parts = [
        types.Part(text="hm", thought=True, thought_signature=b"\x00\xff"),
        types.Part(function_call=types.FunctionCall(id="c", name="f", args={"a": [1, {"b": None}]})),
        types.Part(inline_data=types.Blob(data=b"\x89PNG", mime_type="image/png")),
    ]
    event = Event(
        author="agent",
        invocation_id="i",
        branch="root.a",
        content=types.Content(role="model", parts=parts),
        actions=EventActions(transfer_to_agent="b", artifact_delta={"f": 1}, state_delta={"k": {"deep": [1]}}),
        long_running_tool_ids={"c"},
        custom_metadata={"m": 1},
    )
    await either.append_event(session, event)
    (found,) = (await read(either)).events
    assert found == event
    assert session.last_update_time > 0


async def test_partial_events_are_not_kept(either):
    session = await either.create_session(**WHO, session_id="s")
    await either.append_event(session, said("par", partial=True))
    assert (session.events, (await read(either)).events) == ([], [])


@pytest.mark.parametrize(
    ("config", "expected"),
    [({}, "abcd"), ({"num_recent_events": 2}, "cd"), ({"num_recent_events": 0}, ""), ({"after_timestamp": 30.0}, "cd"),
     ({"after_timestamp": 20.0, "num_recent_events": 2}, "cd")],
)  # fmt: skip
async def test_events_are_filtered(either, config, expected):
    session = await either.create_session(**WHO, session_id="s")
    for place_in, letter in enumerate("abcd", 1):
        await either.append_event(session, said(letter, timestamp=place_in * 10.0))
    assert words(await read(either, **config)) == list(expected)


async def test_sessions_are_listed_without_events_and_deleted(either):
    for user, name in (("ann", "1"), ("bob", "2"), ("ann", "3")):
        session = await either.create_session(app_name="app", user_id=user, session_id=name, state={"n": name})
        await either.append_event(session, said("x"))
    everybody = (await either.list_sessions(app_name="app")).sessions
    assert [(each.id, each.events, each.state["n"]) for each in everybody] == [
        ("1", [], "1"),
        ("2", [], "2"),
        ("3", [], "3"),
    ]
    assert [each.id for each in (await either.list_sessions(**WHO)).sessions] == ["1", "3"]
    await either.delete_session(**WHO, session_id="1")
    await either.delete_session(**WHO, session_id="1")
    assert [each.id for each in (await either.list_sessions(**WHO)).sessions] == ["3"]
    assert (await either.list_sessions(app_name="none")).sessions == []


async def test_an_event_of_a_session_that_is_gone_is_refused(either):
    session = await either.create_session(**WHO, session_id="s")
    await either.delete_session(**WHO, session_id="s")
    with pytest.raises(SessionNotFoundError):
        await either.append_event(session, said("x"))


# Where it is better than one of the references, or all.


async def test_the_same_event_again_changes_nothing(service):
    session = await service.create_session(**WHO, session_id="s")
    event = changing(n=1)
    await service.append_event(session, event)
    again = await read(service)
    await service.append_event(again, event.model_copy(deep=True))
    assert len((await read(service)).events) == 1


async def test_a_worker_whose_clock_is_behind_does_not_reorder_history(service):
    session = await service.create_session(**WHO, session_id="s")
    for letter, at in (("a", 100.0), ("b", 108.0), ("c", 100.0)):
        await service.append_event(session, said(letter, timestamp=at))
    assert words(await read(service)) == ["a", "b", "c"]
    assert words(await read(service, num_recent_events=1)) == ["c"]


async def test_a_stale_caller_is_refused_also_if_the_clocks_agree(service):
    await service.create_session(**WHO, session_id="s")
    mine, yours = await read(service), await read(service)
    await service.append_event(yours, said("first", timestamp=5.0))
    with pytest.raises(StaleSessionError):
        await service.append_event(mine, said("second", timestamp=5.0))
    assert (words(await read(service)), mine.events) == (["first"], [])


async def test_another_event_under_a_known_id_is_refused(service):
    session = await service.create_session(**WHO, session_id="s")
    await service.append_event(session, said("a", id="same"))
    with pytest.raises(ItemConflict, match="same"):
        await service.append_event(session, said("b", id="same"))
    assert words(await read(service)) == ["a"]


async def test_many_appends_on_one_session_object_are_all_kept(service):
    session = await service.create_session(**WHO, session_id="s")
    await asyncio.gather(*(service.append_event(session, said(f"{n}")) for n in range(30)))
    kept = words(await read(service))
    assert sorted(kept, key=int) == sorted(words(session), key=int) == [str(n) for n in range(30)]


async def test_of_many_that_read_the_same_revision_one_writes(service):
    await service.create_session(**WHO, session_id="s")
    held = [await read(service) for _ in range(8)]
    outcomes = await asyncio.gather(
        *(service.append_event(session, said(f"{n}")) for n, session in enumerate(held)), return_exceptions=True
    )
    assert sum(isinstance(outcome, StaleSessionError) for outcome in outcomes) == 7
    assert len((await read(service)).events) == 1


async def test_five_thousand_events_are_read_in_order(service):
    session = await service.create_session(**WHO, session_id="s")
    for n in range(5000):
        await service.append_event(session, said(f"{n}"))
    assert words(await read(service)) == words(session) == [str(n) for n in range(5000)]
    assert words(await read(service, num_recent_events=2)) == ["4998", "4999"]


@pytest.mark.parametrize("name", ["", "a\x00b", "\ud800", "x" * 256])
async def test_names_that_no_database_can_hold_are_refused(service, name):
    with pytest.raises(InvalidId, match="user_id"):
        await service.create_session(app_name="app", user_id=name)


async def test_state_that_is_no_json_is_kept_as_adk_keeps_it(service):
    session = await service.create_session(**WHO, session_id="s")
    await service.append_event(session, changing(when={1, 2}))
    assert sorted((await read(service)).state["when"]) == [1, 2]
