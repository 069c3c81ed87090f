"""DurableSession: the SDK's contract, alone; each write once and each read again as it was, in an execution that dies."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from agents import Agent, Runner, SessionSettings
from agents.memory import OpenAIResponsesCompactionSession
from agents.memory.session import Session
from agents.testing import ScriptedModel, assistant_message

from durable.adapters.openai_agents import DurableSession
from durable.errors import InvalidConfiguration, InvalidId, LeaseLost, NotEncodable
from durable.run.open import open_segment
from tests.world import DAY, World, crashed


def user(text):
    return {"role": "user", "content": text}


def texts(items):
    return [item["content"] for item in items]


@pytest.fixture
def world(database_url):
    made = World(database_url)
    yield made
    made.close()


@pytest.fixture
def runtime(world):
    return world.process()


async def test_it_is_a_session_of_the_sdk(runtime):
    session = DurableSession("s", runtime)
    assert isinstance(session, Session)
    assert session.session_settings == SessionSettings()
    assert DurableSession("s", runtime, session_settings={"limit": 2}).session_settings.limit == 2


async def test_items_are_kept_in_order_and_read_back_as_they_were_given(runtime):
    session = DurableSession("s", runtime)
    odd = {"type": "message", "content": [{"text": '\U0001f600 "; DROP TABLE sessions; --'}], "n": None}
    await session.add_items([user("a"), odd])
    await session.add_items([])
    await session.add_items([user("b")])
    assert await DurableSession("s", runtime).get_items() == [user("a"), odd, user("b")]
    assert await DurableSession("other", runtime).get_items() == []


@pytest.mark.parametrize(("limit", "expected"), [(None, "abc"), (2, "bc"), (0, ""), (9, "abc"), (-1, "abc")])
async def test_a_limit_returns_the_latest_items_oldest_first(runtime, limit, expected):
    session = DurableSession("s", runtime)
    await session.add_items([user(letter) for letter in "abc"])
    assert texts(await session.get_items(limit)) == list(expected)


async def test_the_limit_of_the_settings_counts_unless_another_is_given(runtime):
    session = DurableSession("s", runtime, session_settings=SessionSettings(limit=1))
    await session.add_items([user("a"), user("b")])
    assert texts(await session.get_items()) == ["b"]
    assert texts(await session.get_items(2)) == ["a", "b"]


async def test_the_last_item_is_popped_and_a_cleared_session_is_empty(runtime):
    session = DurableSession("s", runtime)
    assert await session.pop_item() is None
    await session.add_items([user("a"), user("b")])
    assert await session.pop_item() == user("b")
    assert texts(await session.get_items()) == ["a"]
    await session.clear_session()
    assert (await session.get_items(), await session.pop_item()) == ([], None)
    await session.add_items([user("again")])
    assert texts(await session.get_items()) == ["again"]


async def test_many_at_once_lose_nothing(runtime):
    await asyncio.gather(*(DurableSession("s", runtime).add_items([user(f"{n}"), user(f"{n}")]) for n in range(20)))
    kept = texts(await DurableSession("s", runtime).get_items())
    assert sorted(kept) == sorted(str(n) for n in range(20) for _ in "ab")
    assert kept[::2] == kept[1::2]


async def test_names_and_items_that_cannot_be_kept_are_refused_and_nothing_is_written(runtime):
    with pytest.raises(InvalidId, match="session's id"):
        DurableSession("", runtime)
    session = DurableSession("s", runtime)
    with pytest.raises(NotEncodable, match="item 1"):
        await session.add_items([user("a"), user(object())])
    assert await session.get_items() == []


async def test_the_runner_goes_on_with_the_conversation(runtime):
    session, model = DurableSession("s", runtime), ScriptedModel()
    agent = Agent(name="a", model=model)
    for asked, answer in (("What city?", "San Francisco"), ("What state?", "California")):
        model.enqueue([assistant_message(answer)])
        assert (await Runner.run(agent, asked, session=session)).final_output == answer
    assert [item["role"] for item in await session.get_items()] == ["user", "assistant", "user", "assistant"]


async def test_compaction_replaces_the_end_in_one_transaction_or_not_at_all(runtime):
    session = DurableSession("s", runtime)
    await session.add_items([user(letter) for letter in "abcd"])
    snapshot = await session._get_compaction_snapshot(3)
    assert (texts(snapshot.items), snapshot.complete) == (["b", "c", "d"], False)
    assert await snapshot.replace_suffix(1, [user("c and d")])
    assert texts(await session.get_items()) == ["a", "b", "c and d"]
    assert not await snapshot.replace_suffix(1, [user("too late")])
    assert texts(await session.get_items()) == ["a", "b", "c and d"]
    assert (await session._get_compaction_snapshot(3)).complete


async def test_the_sdks_compaction_works_on_it(runtime):
    class Responses:
        @staticmethod
        async def compact(**asked):
            return SimpleNamespace(output=[{"type": "compaction", "encrypted_content": "x"}], usage=None)

    session = DurableSession("s", runtime)
    await session.add_items([{"type": "message", "role": "assistant", "content": "a"}] * 3)
    compaction = OpenAIResponsesCompactionSession(
        "s", session, client=SimpleNamespace(responses=Responses()), compaction_mode="input"
    )
    await compaction.run_compaction({"force": True})
    assert [item["type"] for item in await session.get_items()] == ["compaction"]


# In an execution.


class Life:
    """An execution that says things in a session, and dies where a test wants it to."""

    def __init__(self, world, body):
        self.world, self.body = world, body
        self.dies_at = None

    def process(self, **options):
        runtime = self.world.process(**options)

        async def app():
            return await self.body(runtime, self.reached)

        runtime.function("talk")(app)
        return runtime

    def reached(self, point):
        if point == self.dies_at:
            self.world.die()


async def conversation(runtime, reached):
    session = DurableSession("s", runtime)
    seen = [texts(await session.get_items())]
    reached("read")
    await session.add_items([user("a"), user("b")])
    reached("added")
    popped = await session.pop_item()
    reached("popped")
    await session.add_items([user("c")])
    seen.append(texts(await session.get_items()))
    reached("read again")
    await session.clear_session()
    reached("cleared")
    await session.add_items([user("d")])
    reached("end")
    return [seen, popped["content"]]


POINTS = ["read", "added", "popped", "read again", "cleared", "end"]


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_point_neither_loses_nor_doubles_items(world, point):
    life = Life(world, conversation)
    first = life.process()
    asyncio.run(DurableSession("s", first).add_items([user("before")]))
    life.dies_at = point
    crashed(lambda: first.run("talk", {}, id="e"))
    life.dies_at = None
    second = life.process(later=DAY)
    result = second.run("talk", {}, id="e")
    assert result.output == [[["before"], ["before", "a", "c"]], "b"]
    assert texts(asyncio.run(DurableSession("s", second).get_items())) == ["d"]


def test_a_replay_reads_what_was_read_the_first_time(world):
    life = Life(world, conversation)
    first = life.process()
    life.dies_at = "read"
    crashed(lambda: first.run("talk", {}, id="e"))
    life.dies_at = None
    second = life.process(later=DAY)
    asyncio.run(DurableSession("s", second).add_items([user("from outside")]))
    assert second.run("talk", {}, id="e").output[0] == [[], ["from outside", "a", "c"]]


def test_a_write_is_in_the_journal_with_its_items_in_one_commit(world):
    life = Life(world, conversation)
    runtime = life.process()
    result = runtime.run("talk", {}, id="e")
    steps = [(event.meta["name"], event.meta["effect"]) for event in result.events if event.kind == "step_done"]
    write, read = "transactional", "read"
    expected = ["get_items", "add_items", "pop_item", "add_items", "get_items", "clear_session", "add_items"]
    assert steps == [(f"session.{name}", read if name == "get_items" else write) for name in expected]


def test_an_owner_that_has_lost_its_claim_writes_nothing(world):
    async def stale(runtime, _):
        session = DurableSession("s", runtime)
        await session.add_items([user("a")])
        other = world.process(later=DAY)
        other.leases.let_go(open_segment(other, "e", forced=True))
        await session.add_items([user("zombie")])

    runtime = Life(world, stale).process()
    with pytest.raises(LeaseLost):
        runtime.run("talk", {}, id="e")
    assert texts(asyncio.run(DurableSession("s", world.process()).get_items())) == ["a"]


def test_a_session_of_another_runtime_is_refused_inside_an_execution(world, tmp_path):
    elsewhere = World(f"sqlite:///{tmp_path / 'elsewhere.db'}")

    async def talk(_, __):
        await DurableSession("s", elsewhere.process()).get_items()

    result = Life(world, talk).process().run("talk", {}, id="e")
    elsewhere.close()
    assert result.error["type"].endswith(InvalidConfiguration.__name__)
    assert "same Runtime" in result.error["message"]


def test_compaction_in_an_execution_happens_once(world):
    async def compact(runtime, reached):
        session = DurableSession("s", runtime)
        await session.add_items([user("a"), user("b")])
        snapshot = await session._get_compaction_snapshot(5)
        done = await snapshot.replace_suffix(0, [user("both")])
        reached("compacted")
        return [done, texts(snapshot.items)]

    life = Life(world, compact)
    life.dies_at = "compacted"
    first = life.process()
    crashed(lambda: first.run("talk", {}, id="e"))
    life.dies_at = None
    second = life.process(later=DAY)
    assert second.run("talk", {}, id="e").output == [True, ["a", "b"]]
    assert texts(asyncio.run(DurableSession("s", second).get_items())) == ["both"]


def test_a_session_that_marks_after_it_writes_would_double_items(world, monkeypatch):
    """The negative control: with the write before its record, in two transactions, the crash test must fail."""

    async def write_then_mark(self, name, given, change, **more):
        database = self._runtime.database
        found = await database.on_journal_thread(database.transact, change)
        life.reached("between")
        await original(self, name, given, lambda _: found, **more)
        return found

    original = DurableSession._write
    life = Life(world, conversation)
    first = life.process()
    with monkeypatch.context() as planted:
        planted.setattr(DurableSession, "_write", write_then_mark)
        life.dies_at = "between"
        crashed(lambda: first.run("talk", {}, id="e"))
        life.dies_at = None
        second = life.process(later=DAY)
        assert second.run("talk", {}, id="e").output[0][1] != ["a", "c"]
