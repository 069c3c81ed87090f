"""Kill the process in the middle of an effect: another one goes on, and what had finished does not run again.

A process is forked and ends itself in the effect (no handler, no flush, as by SIGKILL); this process then continues, by the
same call or as a worker does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import Agent, GuardrailFunctionOutput, InputGuardrail, Runner, function_tool

from durable import Runtime, ToolPolicy
from durable.adapters.openai_agents import durable_agent
from tests.adapters.openai_world import Ledger, Model, acting, agent, call, killed

POLICIES = {"act": ToolPolicy(effect="idempotent")}


@pytest.fixture(autouse=True)
def own_loop() -> Any:
    """``run_sync`` leaves its event loop open, for the next one."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def sequential(ledger: Ledger) -> Agent[Any]:
    turns = [[call("act", "c1", what="a")], [call("act", "c2", what="b")], "end"]
    return agent("app", Model(*turns, ledger=ledger), acting(ledger))


def parallel(ledger: Ledger) -> Agent[Any]:
    turns = [[call("act", f"c{what}", what=what) for what in "abc"], "end"]
    return agent("app", Model(*turns, ledger=ledger), acting(ledger))


def handoff(ledger: Ledger) -> Agent[Any]:
    """A circle: the second could hand back to the first."""
    first = agent("first", Model([call("act", "c1", what="a")], [call("transfer_to_second", "h1")], ledger=ledger))
    turns = [None, None, [call("act", "c2", what="b")], "end"]
    second = agent("second", Model(*turns, ledger=ledger, name="second"), acting(ledger))
    first.tools, first.handoffs, second.handoffs = [acting(ledger)], [second], [first]
    return first


def sub_agent(ledger: Ledger) -> Agent[Any]:
    inner = agent(
        "inner", Model([call("act", "i1", what="b")], "inner end", ledger=ledger, name="inner"), acting(ledger)
    )
    turns = [[call("act", "c1", what="a")], [call("ask_inner", "s1", input="go")], "end"]
    return agent("app", Model(*turns, ledger=ledger), acting(ledger), inner.as_tool("ask_inner", "ask"))


def run_in_tool(ledger: Ledger) -> Agent[Any]:
    inner = agent(
        "inner", Model([call("act", "i1", what="b")], "inner end", ledger=ledger, name="inner"), acting(ledger)
    )

    @function_tool
    async def delegate() -> str:
        """Ask another agent."""
        return str((await Runner.run(inner, "go")).final_output)

    turns = [[call("act", "c1", what="a")], [call("delegate", "d1")], "end"]
    return agent("app", Model(*turns, ledger=ledger), acting(ledger), delegate)


def guarded(ledger: Ledger) -> Agent[Any]:
    judge = agent("judge", Model("fine", ledger=ledger, name="judge"))

    async def check(context: Any, _agent: Any, given: Any) -> GuardrailFunctionOutput:
        result = await Runner.run(judge, given, context=context.context)
        return GuardrailFunctionOutput(output_info=result.final_output, tripwire_triggered=False)

    turns = [[call("act", "c1", what="a")], [call("act", "c2", what="b")], "end"]
    guardrail = InputGuardrail(guardrail_function=check, name="check", run_in_parallel=False)
    return agent("app", Model(*turns, ledger=ledger), acting(ledger), input_guardrails=[guardrail])


SHAPES: dict[str, Any] = {
    "sequential": sequential,
    "parallel": parallel,
    "handoff": handoff,
    "as_tool": sub_agent,
    "run in a tool": run_in_tool,
    "guardrail": guarded,
}
READ_AGAIN = {"run in a tool": {"delegate": ToolPolicy(effect="read")}}


def consume(durable: Any, **options: Any) -> Any:
    async def live() -> Any:
        result = durable.run_streamed("go", **options)
        async for _ in result.stream_events():
            pass
        return result

    return asyncio.run(live())


def drive(durable: Any, way: str) -> Any:
    if way == "streamed":
        return consume(durable, execution_id="x").final_output
    if way == "async":
        return asyncio.run(durable.run("go", execution_id="x")).final_output
    return durable.run_sync("go", execution_id="x").final_output


def crash(name: str, url: str, path: Any, way: str = "sync", die_at: str = "b") -> None:
    def live() -> Any:
        asyncio.set_event_loop(
            asyncio.new_event_loop()
        )  # a forked process has none of the threads of its parent's loop
        with Runtime(url, policies=POLICIES | READ_AGAIN.get(name, {})) as runtime:
            durable = durable_agent(SHAPES[name](Ledger(path, die_at=die_at)), runtime, name="app")
            return drive(durable, way)

    killed(live)


@pytest.mark.parametrize("way", ["sync", "async", "streamed", "recover"])
@pytest.mark.parametrize("name", SHAPES)
def test_what_had_finished_does_not_run_again(sqlite_url: str, tmp_path: Any, name: str, way: str) -> None:
    path = tmp_path / "ledger"
    crash(name, sqlite_url, path, "streamed" if way == "streamed" else "sync")
    before = Ledger(path).counts()
    with Runtime(sqlite_url, policies=POLICIES | READ_AGAIN.get(name, {})) as runtime:
        durable = durable_agent(SHAPES[name](Ledger(path)), runtime, name="app")
        if way == "recover":
            [result] = runtime.recover()
            assert result.output == "end"
        else:
            assert drive(durable, way) == "end"
        after = Ledger(path).counts()
        again = {what for what, count in after.items() if count > 1}
        assert again <= ({"b", "a", "c"} if name == "parallel" else {"b"})
        assert before["b"] == 1
        assert all(len(set(Ledger(path).keys(what))) == 1 for what in after)
        assert runtime.get("x").status == "succeeded"
        assert runtime.get("x").verify() > 0
        # once more: nothing runs
        assert drive(durable, "async") == "end"
        assert Ledger(path).counts() == after


@pytest.mark.parametrize("name", SHAPES)
def test_the_same_holds_on_postgresql(postgres_url: str, tmp_path: Any, name: str) -> None:
    path = tmp_path / "ledger"
    crash(name, postgres_url, path)
    with Runtime(postgres_url, policies=POLICIES | READ_AGAIN.get(name, {})) as runtime:
        durable_agent(SHAPES[name](Ledger(path)), runtime, name="app")
        [result] = runtime.recover()
        assert (result.status, result.output) == ("succeeded", "end")


def test_a_model_that_dies_before_its_answer_is_recorded_is_asked_again(sqlite_url: str, tmp_path: Any) -> None:
    path = tmp_path / "ledger"
    crash("sequential", sqlite_url, path, die_at="model 1")
    with Runtime(sqlite_url, policies=POLICIES) as runtime:
        assert drive(durable_agent(sequential(Ledger(path)), runtime, name="app"), "sync") == "end"
    assert Ledger(path).counts() == {"model 0": 1, "a": 1, "model 1": 2, "b": 1, "model 2": 1}


def test_an_undeclared_tool_that_died_in_its_effect_is_in_doubt(sqlite_url: str, tmp_path: Any) -> None:
    from durable import Decision
    from durable.errors import ExecutionSuspended

    path = tmp_path / "ledger"

    def live() -> Any:
        asyncio.set_event_loop(
            asyncio.new_event_loop()
        )  # a forked process has none of the threads of its parent's loop
        with Runtime(sqlite_url) as runtime:
            return drive(durable_agent(sequential(Ledger(path, die_at="b")), runtime, name="app"), "sync")

    killed(live)
    with Runtime(sqlite_url) as runtime:
        durable = durable_agent(sequential(Ledger(path)), runtime, name="app")
        with pytest.raises(ExecutionSuspended, match="int-"):
            drive(durable, "sync")
        [row] = runtime.interrupts()
        assert (row.kind, row.tool, row.step_key) == ("in_doubt", "act", "tool:c2")
        runtime.decide(row.id, Decision.happened("b done, says the bank"), by="alice")
        result = durable.run_sync("go", execution_id="x")
        assert result.final_output == "end"
        assert [item.output for item in result.new_items if item.type == "tool_call_output_item"] == [
            "a done",
            "b done, says the bank",
        ]
    assert Ledger(path).counts()["b"] == 1


def test_usage_is_recorded_with_each_answer(sqlite_url: str, tmp_path: Any) -> None:
    with Runtime(sqlite_url, policies=POLICIES) as runtime:
        durable = durable_agent(sequential(Ledger(tmp_path / "ledger")), runtime, name="app")
        result = durable.run_sync("go", execution_id="x")
        assert runtime.result_of("x").usage == {"input_tokens": 9, "output_tokens": 6, "total_tokens": 15}
        again = durable.run_sync("go", execution_id="x")
        assert again.context_wrapper.usage.total_tokens == result.context_wrapper.usage.total_tokens == 15
        assert again.context_wrapper.usage.requests == 3


def test_a_replayed_stream_has_the_same_items_and_no_deltas(sqlite_url: str, tmp_path: Any) -> None:
    def names(result: Any) -> list[str]:
        return [type(item).__name__ for item in result.new_items]

    seen: list[str] = []

    async def again(durable: Any) -> Any:
        result = durable.run_streamed("go", execution_id="x")
        async for event in result.stream_events():
            seen.append(getattr(getattr(event, "data", None), "type", event.type))
        return result

    with Runtime(sqlite_url, policies=POLICIES) as runtime:
        durable = durable_agent(sequential(Ledger(tmp_path / "ledger")), runtime, name="app")
        live = consume(durable, execution_id="x")
        replayed = asyncio.run(again(durable))
        assert names(live) == names(replayed)
        assert [kind for kind in seen if "delta" in kind] == []
        assert seen.count("response.completed") == 3
        assert replayed.context_wrapper.usage.total_tokens == live.context_wrapper.usage.total_tokens == 15


def test_a_cancelled_stream_leaves_its_execution_and_goes_on(sqlite_url: str, tmp_path: Any) -> None:
    path = tmp_path / "ledger"

    async def stop(durable: Any) -> None:
        result = durable.run_streamed("go", execution_id="x")
        async for event in result.stream_events():
            if event.type == "run_item_stream_event" and event.name == "tool_output":
                result.cancel()

    with Runtime(sqlite_url, policies=POLICIES) as runtime:
        durable = durable_agent(sequential(Ledger(path)), runtime, name="app")
        asyncio.run(stop(durable))
        assert runtime.get("x").status == "suspended"
        assert drive(durable, "async") == "end"
    assert (Ledger(path).counts()["a"], Ledger(path).counts()["b"]) == (1, 1)
