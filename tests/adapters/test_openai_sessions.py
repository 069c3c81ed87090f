"""Sessions of the SDK: a crash, or a wait, neither loses nor doubles an item."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from agents import Runner, SessionABC, SQLiteSession

from durable import Decision, Runtime, ToolPolicy
from durable.adapters.openai_agents import durable_agent
from tests.adapters.openai_world import Ledger, Model, acting, agent, call, killed

POLICIES = {"act": ToolPolicy(effect="idempotent")}


def app(ledger: Ledger, **options: Any) -> Any:
    turns = [[call("act", "c1", what="a")], [call("act", "c2", what="b")], "end"]
    return agent("app", Model(*turns), acting(ledger, **options))


def items(path: Any) -> list[Any]:
    session = SQLiteSession("s", path / "session.db")
    found = asyncio.run(session.get_items())
    session.close()
    return [item.get("call_id", item.get("role")) + ":" + item.get("type", "message") for item in found]


WHOLE = [
    "user:message",
    "c1:function_call",
    "c1:function_call_output",
    "c2:function_call",
    "c2:function_call_output",
    "assistant:message",
]


def run(url: str, path: Any, ledger: Ledger, **options: Any) -> Any:
    with Runtime(url, policies=POLICIES) as runtime:
        session = SQLiteSession("s", path / "session.db")
        durable = durable_agent(app(ledger, **options), runtime, name="app")
        result = asyncio.run(durable.run("go", execution_id="x", session=session))
        session.close()
        return result


def test_a_crash_neither_loses_nor_doubles_items(sqlite_url: str, tmp_path: Any) -> None:
    killed(lambda: run(sqlite_url, tmp_path, Ledger(tmp_path / "ledger", die_at="b")))
    assert run(sqlite_url, tmp_path, Ledger(tmp_path / "ledger")).final_output == "end"
    assert items(tmp_path) == WHOLE
    assert run(sqlite_url, tmp_path, Ledger(tmp_path / "ledger")).final_output == "end"
    assert items(tmp_path) == WHOLE


def test_nor_does_an_approval(sqlite_url: str, tmp_path: Any) -> None:
    ledger = Ledger(tmp_path / "ledger")
    for _ in range(2):
        assert run(sqlite_url, tmp_path, ledger, needs_approval=True).interruptions
        with Runtime(sqlite_url) as runtime:
            [row] = runtime.interrupts()
            runtime.decide(row.id, Decision.approve(), by="alice")
    assert run(sqlite_url, tmp_path, ledger, needs_approval=True).final_output == "end"
    assert Counter(items(tmp_path)) == Counter(WHOLE)
    assert ledger.counts() == {"a": 1, "b": 1}


class Failing(SessionABC):
    """A session in memory, of which one write is kept and raises all the same."""

    def __init__(self, error: BaseException) -> None:
        self.session_id, self.kept, self.error, self.session_settings = "s", [], error, None

    async def get_items(self, limit: int | None = None) -> list[Any]:
        return self.kept[-limit:] if limit else list(self.kept)

    async def add_items(self, items: list[Any]) -> None:
        self.kept += items
        if any(item.get("call_id") == "c1" for item in items) and self.error is not None:
            error, self.error = self.error, None  # type: ignore[assignment]
            raise error

    async def pop_item(self) -> Any:
        return self.kept.pop()

    async def clear_session(self) -> None:
        self.kept.clear()


class Abort(BaseException):
    """Nothing that a step can record."""


@pytest.mark.parametrize("error", [RuntimeError("lost the answer"), Abort()], ids=["error", "abort"])
@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_a_write_that_was_kept_and_raised_is_not_made_again(
    sqlite_url: str, tmp_path: Any, error: BaseException, way: str
) -> None:
    ledger, session = Ledger(tmp_path / "ledger"), Failing(error)

    async def go(durable: Any) -> Any:
        if way == "whole":
            return await durable.run("go", execution_id="x", session=session)
        result = durable.run_streamed("go", execution_id="x", session=session)
        async for _ in result.stream_events():
            pass
        return result

    with Runtime(sqlite_url, policies=POLICIES) as runtime:
        durable = durable_agent(app(ledger), runtime, name="app")
        with pytest.raises(type(error)):
            asyncio.run(go(durable))
        assert runtime.get("x").status == "failed"
        runtime.get("x").retry()
        assert asyncio.run(go(durable)).final_output == "end"
    assert [item.get("call_id", item.get("role")) for item in session.kept] == [
        "user",
        "c1",
        "c1",
        "c2",
        "c2",
        "assistant",
    ]
    assert ledger.counts() == {"a": 1, "b": 1}


def test_a_state_of_the_bare_sdk_is_read_again_over_its_record(sqlite_url: str, tmp_path: Any) -> None:
    ledger = Ledger(tmp_path / "ledger")
    bare = asyncio.run(Runner.run(app(ledger, needs_approval=True), "go"))
    stored = bare.to_state()
    stored.approve(stored.get_interruptions()[0])
    kept = stored.to_json()

    async def go(durable: Any) -> Any:
        return await durable.run(await type(stored).from_json(durable.agent, kept))

    with Runtime(sqlite_url) as runtime:
        durable = durable_agent(app(ledger, needs_approval=True), runtime, name="app")
        first = asyncio.run(go(durable))
        assert [item.call_id for item in first.interruptions] == ["c2"]
        [row] = runtime.interrupts()
        runtime.decide(row.id, Decision.approve(), by="alice")
        for _ in range(2):
            assert asyncio.run(go(durable)).final_output == "end"
    assert ledger.counts() == {"a": 1, "b": 1}
