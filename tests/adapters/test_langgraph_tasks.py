"""The functional API: entrypoints and tasks give what they give bare, and a task that has finished is recorded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.tools import tool as langchain_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.types import Command, RetryPolicy, interrupt
from pydantic import BaseModel

from durable import Decision, current
from durable import tool as durable_tool
from durable.adapters.langgraph import durable_graph
from tests.adapters.langgraph_world import plain

CONFIG: Any = {"configurable": {"thread_id": "t"}}


def done(runtime):
    [execution] = runtime.executions()
    return [record.payload["name"] for record in runtime.get(execution.id).history() if record.kind == "step_done"]


def test_tasks_called_one_after_the_other_and_side_by_side(runtime, ledger):
    @task
    def double(n: int) -> int:
        ledger.did(f"double {n}")
        return 2 * n

    def flow(numbers: list[int]) -> list[int]:
        first = double(numbers[0]).result()
        others = [double(n) for n in numbers[1:]]
        return [first, *(other.result() for other in others), double(first).result()]

    bare = entrypoint(checkpointer=InMemorySaver())(flow)
    wrapped = durable_graph(entrypoint()(flow), runtime, name="flow")
    assert wrapped.invoke([1, 2, 3], CONFIG) == bare.invoke([1, 2, 3], CONFIG) == [2, 4, 6, 4]
    assert done(runtime).count("double") == 4
    assert ledger.counts() == {"double 1": 2, "double 2": 4, "double 3": 2}


def test_a_graph_called_in_a_task_begins_when_the_checkpoint_around_the_task_is_durable(runtime):
    @task
    def double(n: int) -> int:
        return 2 * n

    @entrypoint()
    def inner(n: int) -> int:
        return double(n).result()

    @task
    def asked(n: int) -> int:
        return inner.invoke(n)

    def flow(n: int) -> int:
        return asked(n).result()

    wrapped = durable_graph(entrypoint()(flow), runtime, name="flow")
    assert wrapped.invoke(2, CONFIG) == 4
    assert sorted(done(runtime)) == ["asked", "double", "flow", "inner"]


async def test_asynchronous_tasks_can_be_awaited_and_gathered(runtime, ledger):
    @task
    async def double(n: int) -> int:
        ledger.did(f"double {n}")
        return 2 * n

    @task
    def triple(n: int) -> int:
        return 3 * n

    async def flow(numbers: list[int]) -> list[int]:
        both = await asyncio.gather(*(double(n) for n in numbers))
        return [*both, await triple(1)]

    wrapped = durable_graph(entrypoint()(flow), runtime, name="flow")
    assert await wrapped.ainvoke([1, 2], CONFIG) == [2, 4, 3]
    assert sorted(done(runtime)) == ["double", "double", "flow", "triple"]


def test_previous_and_final_values_are_kept_between_runs(runtime):
    def flow(n: int, *, previous: int | None = None) -> entrypoint.final[int, int]:
        total = n + (previous or 0)
        return entrypoint.final(value=2 * total, save=total)

    bare = entrypoint(checkpointer=InMemorySaver())(flow)
    wrapped = durable_graph(entrypoint()(flow), runtime, name="flow")
    for graph in (bare, wrapped):
        assert [graph.invoke(n, CONFIG) for n in (1, 2, 3)] == [2, 6, 12]
    assert wrapped.get_state(CONFIG).values == bare.get_state(CONFIG).values == 12


def test_the_streams_of_a_task_are_those_of_the_bare_entrypoint(runtime):
    @task
    def double(n: int) -> int:
        get_stream_writer()(f"doubling {n}")
        return 2 * n

    def flow(n: int) -> int:
        get_stream_writer()("half way")
        return double(n).result() + 1

    bare = entrypoint(checkpointer=InMemorySaver())(flow)
    wrapped = durable_graph(entrypoint()(flow), runtime, name="flow")
    for mode in ("updates", "custom", "values", "tasks", ["updates", "custom"]):
        config: Any = {"configurable": {"thread_id": str(mode)}}
        expected = plain(list(bare.stream(4, config, stream_mode=mode)))
        assert plain(list(wrapped.stream(4, config, stream_mode=mode))) == expected


def test_a_task_may_have_the_name_of_the_tool_it_calls(runtime, ledger):
    @langchain_tool("charge")
    def charging(amount: int) -> str:
        """Charge."""
        return ledger.did(f"charge {amount}")

    @task
    def charge(amount: int) -> str:
        return charging.invoke({"amount": amount})

    wrapped = durable_graph(entrypoint()(lambda amount: charge(amount).result()), runtime, name="flow")
    assert wrapped.invoke(5, CONFIG) == "charge 5 done"
    assert done(runtime).count("charge") == 2


def test_a_task_with_a_policy_is_an_effect(runtime, ledger):
    @task
    @durable_tool(effect="idempotent")
    def charge(amount: int) -> str:
        return ledger.did("charge", current().idempotency_key)

    @task
    @durable_tool(effect="once")
    def notify(text: str) -> str:
        return ledger.did(text)

    def flow(amount: int) -> list[str]:
        return [charge(amount).result(), notify("hello").result()]

    wrapped = durable_graph(entrypoint()(flow), runtime, name="flow")
    assert wrapped.invoke(5, CONFIG) == ["charge done", "hello done"]
    [execution] = runtime.executions()
    started = [record for record in runtime.get(execution.id).history() if record.kind == "step_started"]
    assert [record.payload["name"] for record in started] == ["notify"]
    assert len(ledger.keys("charge")[0]) > 16
    assert done(runtime) == ["charge", "notify", "flow"]


def test_a_task_that_needs_approval_waits_for_it(runtime, ledger):
    @task
    @durable_tool(effect="once", approval=True)
    def charge(amount: int) -> str:
        return ledger.did(f"charge {amount}")

    @task
    def look(n: int) -> str:
        return ledger.did("look")

    wrapped = durable_graph(entrypoint()(lambda n: [look(n).result(), charge(n).result()]), runtime, name="flow")
    assert "__interrupt__" in wrapped.invoke(5, CONFIG)
    [row] = runtime.interrupts()
    assert ledger.counts() == {"look": 1}
    runtime.decide(row.id, Decision.approve(), by="alice")
    assert wrapped.invoke(None, CONFIG) == ["look done", "charge 5 done"]
    assert ledger.counts() == {"look": 1, "charge 5": 1}


def test_interrupts_between_tasks_are_answered_and_the_tasks_are_not_run_again(runtime, ledger):
    @task
    def write(topic: str) -> str:
        return ledger.did(f"write {topic}")

    def flow(topic: str) -> list[str]:
        draft = write(topic).result()
        return [draft, interrupt("good?"), write("end").result()]

    wrapped = durable_graph(entrypoint()(flow), runtime, name="flow")
    assert wrapped.invoke("a", CONFIG)["__interrupt__"][0].value == "good?"
    assert wrapped.invoke(Command(resume="yes"), CONFIG) == ["write a done", "yes", "write end done"]
    assert ledger.counts() == {"write a": 1, "write end": 1}


def test_a_retry_policy_of_a_task_tries_it_again(runtime, ledger):
    @task(retry_policy=RetryPolicy(initial_interval=0.001, jitter=False, retry_on=ConnectionError))
    def flaky(n: int) -> str:
        if len(ledger.lines()) < 2:
            ledger.did("failed")
            raise ConnectionError("busy")
        return ledger.did("worked")

    wrapped = durable_graph(entrypoint()(lambda n: flaky(n).result()), runtime, name="flow")
    assert wrapped.invoke(1, CONFIG) == "worked done"
    assert ledger.counts() == {"failed": 2, "worked": 1}


def test_the_error_of_a_task_reaches_the_entrypoint_which_may_handle_it(runtime):
    @task
    def breaks(n: int) -> int:
        raise ValueError(f"no {n}")

    def flow(n: int) -> str:
        try:
            return str(breaks(n).result())
        except ValueError as exc:
            return f"handled {exc}"

    wrapped = durable_graph(entrypoint()(flow), runtime, name="flow")
    assert wrapped.invoke(1, CONFIG) == "handled no 1"
    failing = durable_graph(entrypoint()(lambda n: breaks(n).result()), runtime, name="failing")
    with pytest.raises(ValueError, match="no 2"):
        failing.invoke(2, {"configurable": {"thread_id": "u"}})
    assert runtime.executions(app="failing")[0].status == "failed"


class Report(BaseModel):
    title: str
    pages: int


def test_typed_inputs_and_results_keep_their_types(runtime):
    seen = []

    @task
    def extend(report: Report) -> Report:
        seen.append(report)
        return report.model_copy(update={"pages": report.pages + 1})

    @entrypoint()
    def flow(report: Report) -> Report:
        return extend(report).result()

    wrapped = durable_graph(flow, runtime, name="flow")
    assert wrapped.invoke(Report(title="a", pages=1), CONFIG) == Report(title="a", pages=2)
    assert runtime.executions()[0].output == Report(title="a", pages=2)
    assert seen == [Report(title="a", pages=1)]


def test_an_entrypoint_can_be_called_from_another_one_and_from_a_task(runtime, ledger):
    @task
    def note(what: str) -> str:
        return ledger.did(what)

    @entrypoint()
    def inner(what: str) -> str:
        return note(f"inner {what}").result()

    @entrypoint()
    def outer(what: str) -> list[str]:
        return [note(what).result(), inner.invoke(what)]

    wrapped = durable_graph(outer, runtime, name="outer")
    assert wrapped.invoke("a", CONFIG) == ["a done", "inner a done"]
    assert ledger.counts() == {"a": 1, "inner a": 1}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_task_called_by_a_task_is_recorded_too(runtime, ledger, is_async):
    @task
    def leaf(n: int) -> int:
        ledger.did(f"leaf {n}")
        return n + 1

    if is_async:

        @task
        async def branch(n: int) -> int:
            return await leaf(await leaf(n))

        @entrypoint()
        async def flow(n: int) -> int:
            return await branch(n)

        assert await durable_graph(flow, runtime, name="flow").ainvoke(1, CONFIG) == 3
    else:

        @task
        def branch(n: int) -> int:
            return leaf(leaf(n).result()).result()

        @entrypoint()
        def flow(n: int) -> int:
            return branch(n).result()

        assert durable_graph(flow, runtime, name="flow").invoke(1, CONFIG) == 3
    assert done(runtime) == ["leaf", "leaf", "branch", "flow"]
