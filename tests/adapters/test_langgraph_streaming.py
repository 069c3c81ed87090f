"""A wrapped graph streams what the bare graph streams, in every mode, shape and version."""

from __future__ import annotations

import operator
import re
import uuid
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.errors import GraphDrained
from langgraph.graph import START, StateGraph
from langgraph.runtime import RunControl

from durable.adapters.langgraph import durable_graph
from durable.errors import ThreadBusy
from tests.adapters.langgraph_world import Scripted, plain, says

MODES = ["values", "updates", "checkpoints", "tasks", "debug", "messages", "custom"]
ALL = [*MODES, ["updates"], ["updates", "messages"], ["values", "custom", "tasks"]]


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    n: int


def build() -> StateGraph[Any, Any, Any, Any]:
    """Two plain nodes, one of which calls a model and writes to the stream, and a graph as a node."""
    inner = StateGraph(State)
    inner.add_node("inside", lambda _: {"log": ["inside"]})
    inner.add_edge(START, "inside")

    def talk(state):
        get_stream_writer()({"progress": state["n"]})
        said = Scripted(lines=[says("hello to you")]).invoke([("user", "hi")])
        return {"log": [said.content]}

    graph = StateGraph(State)
    graph.add_node("count", lambda _: {"log": ["count"], "n": 1})
    graph.add_node("talk", talk)
    graph.add_node("inner", inner.compile())
    graph.add_edge(START, "count")
    graph.add_edge("count", "talk")
    graph.add_edge("talk", "inner")
    return graph


@pytest.fixture
def bare():
    return build().compile(checkpointer=InMemorySaver())


@pytest.fixture
def wrapped(runtime):
    return durable_graph(build(), runtime, name="streams")


def somewhere() -> Any:
    """A config with a thread of its own."""
    return {"configurable": {"thread_id": uuid.uuid4().hex}}


def chunks(found):
    return [plain(chunk) for chunk in found]


@pytest.mark.parametrize("mode", ALL, ids=str)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_each_mode_streams_what_the_bare_graph_streams(bare, wrapped, mode, version):
    for subgraphs in (False, True):
        asked = {"stream_mode": mode, "version": version, "subgraphs": subgraphs}
        expected = chunks(bare.stream({"log": ["in"]}, somewhere(), **asked))
        assert chunks(wrapped.stream({"log": ["in"]}, somewhere(), **asked)) == expected
        assert expected


@pytest.mark.parametrize("mode", ALL, ids=str)
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_each_mode_streams_the_same_asynchronously(bare, wrapped, mode, version):
    asked = {"stream_mode": mode, "version": version, "subgraphs": version == "v2"}
    expected = chunks([chunk async for chunk in bare.astream({"log": ["in"]}, somewhere(), **asked)])
    assert chunks([chunk async for chunk in wrapped.astream({"log": ["in"]}, somewhere(), **asked)]) == expected
    assert expected


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_invoke_returns_what_the_bare_graph_returns(bare, wrapped, version):
    for mode in ("values", "updates", ["values", "updates"]):
        asked = {"stream_mode": mode, "version": version}
        expected = plain(bare.invoke({"log": ["in"]}, somewhere(), **asked))
        assert plain(wrapped.invoke({"log": ["in"]}, somewhere(), **asked)) == expected
        assert plain(await wrapped.ainvoke({"log": ["in"]}, somewhere(), **asked)) == expected


def test_the_default_stream_mode_is_the_bare_graphs(bare, wrapped):
    assert chunks(wrapped.stream({"log": ["in"]}, somewhere())) == chunks(bare.stream({"log": ["in"]}, somewhere()))


def test_output_keys_are_those_asked_for(bare, wrapped):
    asked = {"output_keys": ["n"]}
    expected = chunks(bare.stream({"log": ["in"]}, somewhere(), stream_mode="values", **asked))
    assert chunks(wrapped.stream({"log": ["in"]}, somewhere(), stream_mode="values", **asked)) == expected
    assert wrapped.invoke({"log": ["in"]}, somewhere(), **asked) == bare.invoke({"log": ["in"]}, somewhere(), **asked)


async def test_a_batch_is_an_execution_for_each_input(runtime, bare, wrapped):
    inputs = [{"log": [f"in {n}"]} for n in range(3)]
    configs = [somewhere() for _ in inputs]
    expected = bare.batch(inputs, [somewhere() for _ in inputs])
    assert wrapped.batch(inputs, configs) == expected
    assert await wrapped.abatch(inputs, [somewhere() for _ in inputs]) == expected
    assert [found.status for found in runtime.executions()] == ["succeeded"] * 6
    assert wrapped.batch(inputs, configs[:1] * 3, return_exceptions=True)[0] is not None


async def test_events_of_version_2_are_those_of_the_bare_graph(bare, wrapped):
    def short(event):
        return event["event"], event["name"], plain(event["data"].get("output"))

    expected = [short(event) async for event in bare.astream_events({"log": ["in"]}, somewhere(), version="v2")]
    found = [short(event) async for event in wrapped.astream_events({"log": ["in"]}, somewhere(), version="v2")]
    assert {event[0] for event in found} == {event[0] for event in expected}
    for kind in ("on_chat_model_start", "on_chat_model_stream", "on_chat_model_end", "on_chain_end"):
        names = [event for event in expected if event[0] == kind and event[1] != "LangGraph"]
        assert [event for event in found if event[0] == kind and event[1] != "LangGraph"] == names


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
async def test_events_of_version_3_are_those_of_the_bare_graph(bare, wrapped):
    def short(events):
        return [re.sub(r"'timestamp': \d+, ", "", plain(event)) for event in events]

    expected = short(bare.stream_events({"log": ["in"]}, somewhere(), version="v3"))
    assert short(wrapped.stream_events({"log": ["in"]}, somewhere(), version="v3")) == expected
    listening = await wrapped.astream_events({"log": ["in"]}, somewhere(), version="v3")
    assert len(short([event async for event in listening])) == len(expected) > 5


def test_a_run_that_was_asked_to_drain_stops_between_steps_and_is_continued_by_a_worker(runtime):
    control = RunControl()
    graph = build()
    graph.add_node("drain", lambda _: control.request_drain())
    graph.add_edge("count", "drain")
    wrapped = durable_graph(graph, runtime, name="drains")
    with pytest.raises(GraphDrained):
        wrapped.invoke({"log": ["in"]}, somewhere(), control=control)
    assert runtime.executions()[0].status == "pending"
    [result] = runtime.recover()
    assert result.status == "succeeded"
    assert result.output["log"][:3] == ["in", "count", "hello to you"]


async def test_runs_of_the_graph_itself_are_in_the_events_once(bare, wrapped):
    async def names(graph):
        events = graph.astream_events({"log": ["in"]}, somewhere(), version="v2")
        return sorted([event["name"] async for event in events if event["event"] == "on_chain_start"])

    assert await names(wrapped) == await names(bare)


def test_a_caller_who_stops_listening_leaves_an_execution_that_can_be_continued(runtime, wrapped):
    config = somewhere()
    listening = wrapped.stream({"log": ["in"]}, config, stream_mode="updates")
    assert next(listening) == {"count": {"log": ["count"], "n": 1}}
    listening.close()
    [left] = runtime.executions()
    assert left.status != "running"
    found = wrapped.invoke(None, config)
    assert found["log"][:3] == ["in", "count", "hello to you"]
    assert [execution.status for execution in runtime.executions()] == ["succeeded"]


async def test_a_caller_who_stops_listening_asynchronously_can_continue_too(runtime, wrapped):
    config = somewhere()
    listening = wrapped.astream({"log": ["in"]}, config, stream_mode="updates")
    assert await anext(listening) == {"count": {"log": ["count"], "n": 1}}
    await listening.aclose()
    assert runtime.executions()[0].status != "running"
    found = await wrapped.ainvoke(None, config)
    assert found["log"][:3] == ["in", "count", "hello to you"]


def test_another_call_on_the_thread_is_refused_while_a_stream_is_open(runtime, wrapped):
    config = somewhere()
    listening = wrapped.stream({"log": ["in"]}, config, stream_mode="updates")
    next(listening)
    with pytest.raises(ThreadBusy):
        wrapped.invoke({"log": ["other"]}, config)
    with pytest.raises(ThreadBusy):
        wrapped.update_state(config, {"n": 7})
    assert len(list(listening)) == 2
    assert runtime.executions()[0].status == "succeeded"


def test_a_recorded_execution_streams_its_output_and_runs_nothing(runtime, wrapped):
    config = somewhere()
    done = wrapped.invoke({"log": ["in"]}, config, execution_id="e1")
    assert list(wrapped.stream({"log": ["in"]}, config, execution_id="e1", stream_mode="values")) == [done]
    assert list(wrapped.stream({"log": ["in"]}, config, execution_id="e1", stream_mode="updates")) == []
    assert wrapped.invoke({"log": ["in"]}, config, execution_id="e1", version="v2").value == done
    assert len(runtime.executions()) == 1


def test_messages_are_streamed_token_by_token(wrapped):
    said = [chunk.content for chunk, _ in wrapped.stream({"log": ["in"]}, somewhere(), stream_mode="messages")]
    assert [part for part in said if part] == ["hello ", "to ", "you"]


def test_the_model_is_recorded_once_though_it_was_streamed(runtime, wrapped):
    list(wrapped.stream({"log": ["in"]}, somewhere(), stream_mode="messages"))
    [execution] = runtime.executions()
    done = [record for record in runtime.get(execution.id).history() if record.kind == "step_done"]
    assert [record.payload["name"] for record in done] == ["count", "chat:scripted", "talk", "inside"]
    [model] = [record for record in done if record.payload["name"].startswith("chat:")]
    assert model.payload["usage"]["total_tokens"] == 5
    assert isinstance(model.value()[0]["message"], AIMessage)
