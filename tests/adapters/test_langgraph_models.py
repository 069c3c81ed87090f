"""Model calls inside a node are recorded once, whatever way they are made, and are answered from the record on a replay."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langgraph.graph import START, StateGraph
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from durable import Retry, Runtime, ToolPolicy
from durable.adapters.langgraph import durable_graph
from durable.telemetry.telemetry import Telemetry
from tests.adapters.langgraph_world import Scripted, call, says

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    said: Annotated[list[Any], operator.add]


def one_node(node: Any) -> StateGraph[Any, Any, Any, Any]:
    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    return graph


def model_steps(runtime, kind="step_done"):
    history = runtime.get(runtime.executions()[0].id).history()
    return [
        record for record in history if record.kind == kind and record.payload["name"].startswith(("chat:", "model:"))
    ]


def invoked(model):
    return model.invoke("hi").content


def streamed(model):
    chunks = list(model.stream("hi"))
    assert [chunk.content for chunk in chunks][:2] in (["hello ", "you"], ["hello you"])
    return "".join(chunk.content for chunk in chunks)


def piped(model):
    chain = ChatPromptTemplate.from_messages([("user", "{word}")]) | model | StrOutputParser()
    return chain.invoke({"word": "hi"})


def batched(model):
    return model.batch(["hi"])[0].content


async def ainvoked(model):
    return (await model.ainvoke("hi")).content


async def astreamed(model):
    return "".join([chunk.content async for chunk in model.astream("hi")])


async def apiped(model):
    return await (model | StrOutputParser()).ainvoke("hi")


async def agathered(model):
    return (await asyncio.gather(model.ainvoke("hi")))[0].content


WAYS = [invoked, streamed, piped, batched, ainvoked, astreamed, apiped, agathered]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_each_way_to_call_a_model_is_one_recorded_step_and_is_not_asked_again(runtime, ledger, way):
    model = Scripted(lines=[says("hello you")], ledger=ledger)
    broken = [True]

    def ended(said):
        if broken:
            raise ConnectionError("after the answer")
        return {"said": [said]}

    def node(_):
        return ended(way(model))

    async def anode(_):
        return ended(await way(model))

    is_async = asyncio.iscoroutinefunction(way)
    wrapped = durable_graph(one_node(anode if is_async else node), runtime, name="app")
    for expected in (None, {"said": ["hello you"]}):
        if expected is None:
            with pytest.raises(ConnectionError):
                await wrapped.ainvoke({}, CONFIG) if is_async else wrapped.invoke({}, CONFIG)
            broken.clear()
        else:
            found = await wrapped.ainvoke(None, CONFIG) if is_async else wrapped.invoke(None, CONFIG)
            assert found == expected
    assert ledger.counts() == {"model 0": 1}
    [step] = model_steps(runtime)
    assert step.payload["usage"] == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def test_tool_calls_and_metadata_of_an_answer_survive_the_replay(runtime):
    seen = []

    def node(_):
        said = Scripted(lines=[says("look", call("look", "c1", n=1))]).invoke("hi")
        seen.append(said)
        if len(seen) == 1:
            raise ConnectionError
        return {"said": [said]}

    wrapped = durable_graph(one_node(node), runtime, name="app")
    with pytest.raises(ConnectionError):
        wrapped.invoke({}, CONFIG)
    [found] = wrapped.invoke(None, CONFIG)["said"]
    assert found == seen[0] == seen[1]
    assert isinstance(found, AIMessage)
    assert found.tool_calls == [call("look", "c1", n=1)]
    assert found.usage_metadata["total_tokens"] == 5
    assert found.id == seen[0].id


def test_tool_calls_of_a_streamed_answer_survive_the_replay(runtime):
    seen = []

    def node(_):
        whole = None
        for chunk in Scripted(lines=[says("look at it", call("look", "c1", n=1))]).stream("hi"):
            whole = chunk if whole is None else whole + chunk
        seen.append(whole)
        if len(seen) == 1:
            raise ConnectionError
        return {"said": [whole.content]}

    wrapped = durable_graph(one_node(node), runtime, name="app")
    with pytest.raises(ConnectionError):
        wrapped.invoke({}, CONFIG)
    wrapped.invoke(None, CONFIG)
    assert isinstance(seen[1], AIMessageChunk)
    assert seen[1].tool_calls == seen[0].tool_calls == [call("look", "c1", n=1)]
    assert seen[1].content == seen[0].content == "look at it"
    assert seen[1].usage_metadata == seen[0].usage_metadata


def test_a_prompt_that_differs_on_the_replay_takes_the_recorded_answer_and_is_noted(runtime, ledger):
    clock = iter(["morning", "evening"])
    broken = [True]

    def node(_):
        said = Scripted(lines=[says("hello")], ledger=ledger).invoke(f"good {next(clock)}").content
        if broken:
            raise ConnectionError
        return {"said": [said]}

    wrapped = durable_graph(one_node(node), runtime, name="app")
    with pytest.raises(ConnectionError):
        wrapped.invoke({}, CONFIG)
    broken.clear()
    assert wrapped.invoke(None, CONFIG) == {"said": ["hello"]}
    assert ledger.counts() == {"model 0": 1}
    notes = [record.payload for record in runtime.get(runtime.executions()[0].id).history() if record.kind == "note"]
    assert [note["step"].rpartition("/")[2] for note in notes if note["event"] == "input_differs"] == [
        "chat:scripted#1"
    ]


def test_the_journal_holds_the_answer_and_not_the_prompt(runtime):
    wrapped = durable_graph(
        one_node(lambda _: {"said": [Scripted(lines=[says("hello")]).invoke("a long prompt").content]}),
        runtime,
        name="app",
    )
    wrapped.invoke({}, CONFIG)
    [step] = model_steps(runtime)
    assert step.value()[0]["message"].content == "hello"
    assert "a long prompt" not in str(step.payload) + str(step.value())


def test_a_stream_that_breaks_in_the_middle_is_asked_for_again(runtime, ledger):
    class Breaking(Scripted):
        def _stream(self, *args, **options):
            for number, chunk in enumerate(super()._stream(*args, **options)):
                if number == 1 and len(self.ledger.lines()) == 1:
                    raise ConnectionError("line cut")
                yield chunk

    heard = []

    def node(_):
        for chunk in Breaking(lines=[says("hello to you")], ledger=ledger).stream("hi"):
            heard.append(chunk.content)
        return {"said": ["".join(heard)]}

    wrapped = durable_graph(one_node(node), runtime, name="app")
    with pytest.raises(ConnectionError):
        wrapped.invoke({}, CONFIG)
    heard.clear()
    assert wrapped.invoke(None, CONFIG)["said"] == ["hello to you"]
    assert ledger.counts() == {"model 0": 2}


async def test_a_consumer_that_stops_reading_a_stream_leaves_nothing_behind(runtime, ledger):
    async def node(_):
        model = Scripted(lines=[says("hello to you")], ledger=ledger)
        for chunk in model.stream("hi"):
            first = chunk.content
            break
        async for chunk in model.astream("hi"):
            second = chunk.content
            break
        return {"said": [first, second, (await model.ainvoke("hi")).content]}

    wrapped = durable_graph(one_node(node), runtime, name="app")
    assert (await wrapped.ainvoke({}, CONFIG))["said"] == ["hello ", "hello ", "hello to you"]
    assert runtime.executions()[0].status == "succeeded"


def test_a_policy_of_the_runtime_retries_a_model(sqlite_url, ledger):
    class Flaky(Scripted):
        def _generate(self, *args, **options):
            if len(self.ledger.lines()) < 2:
                self.ledger.did("failed")
                raise ConnectionError("overloaded")
            return super()._generate(*args, **options)

    node = one_node(lambda _: {"said": [Flaky(lines=[says("hello")], ledger=ledger).invoke("hi").content]})
    policy = ToolPolicy(effect="read", retry=Retry(attempts=3, initial=0.0))
    with Runtime(sqlite_url, policies={"chat:scripted": policy}) as runtime:
        assert durable_graph(node, runtime, name="app").invoke({}, CONFIG) == {"said": ["hello"]}
    assert ledger.counts() == {"failed": 2, "model 0": 1}


@pytest.mark.parametrize("spoken", [0, 1])
def test_a_whole_call_whose_words_the_graph_streams_is_not_begun_again_behind_the_first(sqlite_url, ledger, spoken):
    class Breaking(Scripted):
        def _stream(self, *args, **options):
            for number, chunk in enumerate(super()._stream(*args, **options)):
                if number == spoken and len(self.ledger.lines()) == 1:
                    raise ConnectionError("line cut")
                yield chunk

    def words():
        config = {"configurable": {"thread_id": "t"}}
        return [message.content for message, _ in wrapped.stream({}, config, stream_mode="messages")]

    node = one_node(lambda _: {"said": [Breaking(lines=[says("hello you")], ledger=ledger).invoke("hi").content]})
    policy = ToolPolicy(effect="read", retry=Retry(attempts=3, initial=0.0))
    with Runtime(sqlite_url, policies={"chat:scripted": policy}) as runtime:
        wrapped = durable_graph(node, runtime, name="app")
        if spoken:
            with pytest.raises(ConnectionError):
                words()
        else:
            assert "".join(words()).startswith("hello you")
    assert ledger.counts() == {"model 0": 1 if spoken else 2}


def test_a_model_that_was_bound_to_tools_or_has_fallbacks_is_recorded(runtime, ledger):
    class Down(Scripted):
        def _generate(self, *_, **__):
            raise ConnectionError("down")

    def node(_):
        model = Scripted(lines=[says("hello")], ledger=ledger)
        bound = model.bind_tools([]).bind(stop=["x"]).with_config(tags=["a"])
        return {"said": [bound.invoke("hi").content, Down(lines=[]).with_fallbacks([model]).invoke("hi").content]}

    assert durable_graph(one_node(node), runtime, name="app").invoke({}, CONFIG)["said"] == ["hello", "hello"]
    assert len(model_steps(runtime)) == 2
    assert len(model_steps(runtime, "step_failed")) == 1


def test_the_span_of_a_model_call_names_its_model_and_its_provider(sqlite_url):
    spans, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))

    class Known(Scripted):
        def _get_ls_params(self, stop=None, **options):
            return {**super()._get_ls_params(stop, **options), "ls_provider": "openai", "ls_model_name": "gpt-x"}

    model = Known(lines=[says("hello")])
    with Runtime(sqlite_url, telemetry=Telemetry(tracers)) as runtime:
        graph = one_node(lambda _: {"said": [model.invoke("hi").content]})
        durable_graph(graph, runtime, name="agent").invoke({}, CONFIG)
    [told] = [span for span in spans.get_finished_spans() if span.kind is SpanKind.CLIENT]
    assert told.name == "chat gpt-x"
    assert told.attributes["gen_ai.request.model"] == "gpt-x"
    assert told.attributes["gen_ai.provider.name"] == "openai"
