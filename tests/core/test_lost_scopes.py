"""A gated tool that is called where its execution is not known is refused by name, never run without its decision."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor

import pytest

from durable import Runtime, ToolPolicy, Unsupported, tool


@pytest.fixture
def paid():
    return []


@pytest.fixture
def pay(paid):
    @tool(effect="once", approval=True)
    def pay(amount: int) -> str:
        paid.append(amount)
        return "paid"

    return pay


def pool(call):
    with ThreadPoolExecutor(1) as threads:
        return list(threads.map(call, [10]))


def test_a_gated_tool_in_a_bare_thread_pool_is_refused(sqlite_url, pay, paid):
    with Runtime(sqlite_url) as runtime:
        runtime.function("app")(lambda: pool(pay))
        result = runtime.run("app", id="e")
    assert (result.status, result.error["type"], paid) == ("failed", "Unsupported", [])
    assert "copy_context" in result.error["message"]


def test_a_gated_tool_in_a_bare_executor_of_a_loop_is_refused(sqlite_url, pay, paid):
    async def app():
        return await asyncio.get_running_loop().run_in_executor(None, pay, 30)

    with Runtime(sqlite_url) as runtime:
        runtime.function("app")(app)
        result = runtime.run("app", id="e")
    assert (result.status, result.error["type"], paid) == ("failed", "Unsupported", [])


def test_a_tool_that_a_policy_of_the_runtime_gates_is_refused_too(sqlite_url, paid):
    @tool
    def refund(amount: int) -> str:
        paid.append(amount)
        return "refunded"

    with Runtime(sqlite_url, policies={"refund": ToolPolicy(approval=True)}) as runtime:
        runtime.function("app")(lambda: pool(refund))
        assert runtime.run("app", id="e").error["type"] == "Unsupported"
    assert paid == []


def test_with_its_context_it_asks(sqlite_url, pay, paid):
    def app():
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(contextvars.copy_context().run, pay, 10).result()

    with Runtime(sqlite_url) as runtime:
        runtime.function("app")(app)
        result = runtime.run("app", id="e")
        assert [asked.arguments for asked in result.interrupts] == [{"amount": 10}]
    assert paid == []


def test_without_any_execution_in_the_process_it_is_a_plain_function(pay, paid):
    assert pool(pay) == ["paid"]
    assert paid == [10]


def test_the_refusal_says_what_to_use(sqlite_url, pay):
    seen = []

    def app():
        with pytest.raises(Unsupported, match="asyncio.to_thread"):
            pool(pay)
        seen.append(True)

    with Runtime(sqlite_url) as runtime:
        runtime.function("app")(app)
        runtime.run("app", id="e")
    assert seen
