"""Sessions of the SDK: a crash, or a wait, neither loses nor doubles an item."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from agents import SQLiteSession

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
