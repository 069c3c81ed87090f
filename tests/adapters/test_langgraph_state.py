"""State, schemas, context, configuration and limits of a wrapped graph are those of the bare one."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError, InvalidUpdateError
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime as GraphRuntime
from langgraph.types import Command
from pydantic import BaseModel, ValidationError, create_model

from durable.adapters.langgraph import DurableSaver, durable_graph
from durable.errors import InvalidConfiguration, NotEncodable, Unsupported
from tests.adapters.langgraph_world import Ledger, plain

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    n: int


def two_nodes(schema: Any = State, **options: Any) -> StateGraph[Any, Any, Any, Any]:
    graph = StateGraph(schema, **options)
    graph.add_node("one", lambda _: {"log": ["one"], "n": 1})
    graph.add_node("two", lambda _: {"log": ["two"]})
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    return graph


@pytest.fixture
def both(runtime):
    """The same graph twice: bare, and wrapped."""

    def make(graph: Any, name: str = "app", **options: Any) -> tuple[Any, Any]:
        return graph.compile(checkpointer=InMemorySaver(), **options), durable_graph(
            graph.compile(**options), runtime, name=name
        )

    return make


async def test_the_state_and_its_history_read_the_same(both):
    bare, wrapped = both(two_nodes())
    for graph in (bare, wrapped):
        graph.invoke({"log": ["in"]}, CONFIG)
    assert plain(wrapped.get_state(CONFIG)) == plain(bare.get_state(CONFIG))
    assert plain(await wrapped.aget_state(CONFIG)) == plain(bare.get_state(CONFIG))
    history = plain(list(bare.get_state_history(CONFIG)))
    assert plain(list(wrapped.get_state_history(CONFIG))) == history
    assert plain([found async for found in wrapped.aget_state_history(CONFIG)]) == history
    earlier = [found.config for found in wrapped.get_state_history(CONFIG)][1]
    assert wrapped.get_state(earlier).next == ("two",)
    assert wrapped.get_state({"configurable": {"thread_id": "nobody"}}).values == {}


def test_classes_local_to_a_function_are_known_from_the_schemas_that_name_them(runtime):
    class Address(BaseModel):
        street: str

    @dataclass
    class Context:
        greeting: str

    person = create_model("Person", address=(Address, ...))
    graph = StateGraph(person, context_schema=Context)
    graph.add_node("move", lambda _: {"address": Address(street="new")})
    graph.add_edge(START, "move")
    wrapped = durable_graph(graph.compile(), runtime, name="app")
    given = person(address=Address(street="old"))
    assert wrapped.invoke(given, CONFIG, context=Context("hi"))["address"] == Address(street="new")
    assert runtime.executions()[0].input.context == Context("hi")


def test_the_metadata_of_a_checkpoint_is_what_the_caller_gave(both):
    bare, wrapped = both(two_nodes())
    for graph in (bare, wrapped):
        graph.invoke({"log": ["in"]}, {**CONFIG, "metadata": {"run_id": "mine"}})
        graph.invoke({"log": ["in"]}, CONFIG)
    metadata = [[state.metadata for state in graph.get_state_history(CONFIG)] for graph in (bare, wrapped)]
    assert metadata[0] == metadata[1]
    assert {each.get("run_id") for each in metadata[1]} == {"mine", None}


async def test_a_state_can_be_updated_and_the_thread_goes_on_from_it(both):
    bare, wrapped = both(two_nodes())
    for graph in (bare, wrapped):
        graph.invoke({"log": ["in"]}, CONFIG)
        graph.update_state(CONFIG, {"log": ["by hand"], "n": 5}, as_node="one")
        assert graph.get_state(CONFIG).next == ("two",)
        await graph.aupdate_state(CONFIG, {"log": ["again"]}, as_node="one")
    expected = bare.invoke(None, CONFIG)
    assert wrapped.invoke(None, CONFIG) == expected
    assert expected["log"] == ["in", "one", "two", "by hand", "again", "two"]


def test_time_travel_runs_the_thread_again_from_an_earlier_checkpoint(both, runtime):
    bare, wrapped = both(two_nodes())
    for graph in (bare, wrapped):
        graph.invoke({"log": ["in"]}, CONFIG)
    found = []
    for graph in (bare, wrapped):
        [earlier] = [state.config for state in graph.get_state_history(CONFIG) if state.next == ("two",)]
        changed = graph.update_state(earlier, {"log": ["changed"]})
        found.append((graph.invoke(None, earlier), graph.invoke(None, changed)))
    assert found[1] == found[0]
    assert found[0][0]["log"] == ["in", "one", "two"]
    assert [execution.status for execution in runtime.executions()] == ["succeeded"] * 3


def test_a_second_input_on_a_thread_continues_the_conversation(both):
    bare, wrapped = both(two_nodes())
    for graph in (bare, wrapped):
        graph.invoke({"log": ["in"]}, CONFIG)
    expected = bare.invoke({"log": ["more"]}, CONFIG)
    assert wrapped.invoke({"log": ["more"]}, CONFIG) == expected
    assert wrapped.invoke({"log": ["more"]}, CONFIG)["log"].count("one") == 3


def test_with_config_and_configurable_values_reach_the_nodes(runtime):
    def node(state, config):
        return {"log": [config["configurable"]["model"], config["tags"][0], config["metadata"]["team"]]}

    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    wrapped = durable_graph(graph, runtime, name="app")
    given = {"configurable": {"model": "small", "thread_id": "t"}, "tags": ["blue"], "metadata": {"team": "a"}}
    assert wrapped.with_config(given).invoke({}) == {"log": ["small", "blue", "a"]}
    assert wrapped.get_state(CONFIG).metadata["team"] == "a"
    other = wrapped.with_config({"configurable": {"thread_id": "u", "model": "big"}, "metadata": {"team": "b"}})
    assert other.invoke({}, {"tags": ["red"]}) == {"log": ["big", "red", "b"]}
    assert len(runtime.executions(app="app")) == 2


class Asked(BaseModel):
    question: str


class Answered(BaseModel):
    answer: str


class Whole(Asked, Answered):
    answer: str = ""
    steps: Annotated[list[str], operator.add] = []


class Part(BaseModel):
    name: str
    size: int = 1


class Typed(BaseModel):
    parts: Annotated[list[Part], operator.add] = []
    n: int = 0


@dataclass
class Plain:
    parts: Annotated[list[Part], operator.add] = field(default_factory=list)
    n: int = 0


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_input_and_output_schemas_hold(both, version):
    def node(state: Whole) -> dict[str, Any]:
        return {"answer": state.question.upper(), "steps": ["node"]}

    graph = StateGraph(Whole, input_schema=Asked, output_schema=Answered)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    bare, wrapped = both(graph)
    expected = bare.invoke({"question": "why"}, CONFIG, version=version)
    assert plain(wrapped.invoke({"question": "why"}, CONFIG, version=version)) == plain(expected)
    assert wrapped.get_output_jsonschema() == bare.get_output_jsonschema()
    assert wrapped.get_input_jsonschema() == bare.get_input_jsonschema()


@pytest.mark.parametrize("schema", [Typed, Plain])
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_pydantic_and_dataclass_states_keep_their_types(both, schema, version):
    seen = []

    def one(state):
        seen.append(type(state))
        return {"parts": [Part(name="a")], "n": state.n + 1}

    def two(state):
        seen.append(type(state.parts[0]))
        return schema(parts=[Part(name="b", size=2)], n=state.n + 1)

    graph = StateGraph(schema)
    graph.add_node("one", one)
    graph.add_node("two", two)
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    bare, wrapped = both(graph)
    expected = bare.invoke({"n": 1}, CONFIG, version=version)
    assert wrapped.invoke({"n": 1}, CONFIG, version=version) == expected
    assert seen == [schema, Part] * 2
    assert plain(wrapped.get_state(CONFIG).values) == plain(bare.get_state(CONFIG).values)
    given = schema(n=1)
    assert await wrapped.ainvoke(given, {"configurable": {"thread_id": "u"}}) == bare.invoke(
        given, {"configurable": {"thread_id": "u"}}
    )


def test_an_input_that_does_not_fit_the_state_is_refused_as_by_the_bare_graph(both, runtime):
    graph = StateGraph(Typed)
    graph.add_node("one", lambda state: {"n": state.n})
    graph.add_edge(START, "one")
    bare, wrapped = both(graph)
    for graph in (bare, wrapped):
        with pytest.raises(ValidationError, match="valid integer"):
            graph.invoke({"n": "many"}, CONFIG)
    assert runtime.executions()[0].status == "failed"
    assert wrapped.invoke({"n": 3}, {"configurable": {"thread_id": "u"}})["n"] == 3


@dataclass
class Context:
    user: str
    plan: str = "free"


def test_the_context_reaches_the_nodes_and_a_recovery(runtime):
    refuse = [True]

    def node(state: State, runtime: GraphRuntime[Context]) -> State:
        if refuse:
            raise ConnectionError("not now")
        return {"log": [runtime.context.user, runtime.context.plan, type(runtime.context).__name__]}

    graph = StateGraph(State, context_schema=Context)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    wrapped = durable_graph(graph, runtime, name="app")
    with pytest.raises(ConnectionError):
        wrapped.invoke({}, CONFIG, context=Context("ada", "pro"))
    refuse.clear()
    assert wrapped.invoke(None, CONFIG) == {"log": ["ada", "pro", "Context"]}
    assert wrapped.invoke({}, {"configurable": {"thread_id": "u"}}, context={"user": "bob"})["log"][0] == "bob"


def test_the_recursion_limit_is_the_bare_graphs(both, runtime):
    graph = StateGraph(State)
    graph.add_node("loop", lambda state: {"log": ["turn"]})
    graph.add_edge(START, "loop")
    graph.add_edge("loop", "loop")
    bare, wrapped = both(graph)
    for graph in (bare, wrapped):
        with pytest.raises(GraphRecursionError, match="limit of 4"):
            graph.invoke({}, {**CONFIG, "recursion_limit": 4})
    assert wrapped.get_state(CONFIG).values == bare.get_state(CONFIG).values
    assert runtime.executions()[0].status == "failed"


def test_a_run_without_a_thread_is_a_thread_of_its_own(runtime):
    wrapped = durable_graph(two_nodes(), runtime, name="app")
    assert wrapped.invoke({"log": ["in"]})["log"] == ["in", "one", "two"]
    assert wrapped.invoke({"log": ["in"]}, execution_id="mine")["log"] == ["in", "one", "two"]
    assert runtime.executions()[0].thread == "mine"
    assert wrapped.get_state({"configurable": {"thread_id": "mine"}}).values["n"] == 1


def test_the_drawing_of_the_graph_is_the_bare_graphs(both):
    inner = two_nodes().compile()
    graph = two_nodes()
    graph.add_node("inner", inner)
    graph.add_conditional_edges("two", lambda _: END, ["inner", END])
    bare, wrapped = both(graph)
    assert wrapped.get_graph().draw_mermaid() == bare.get_graph().draw_mermaid()
    assert wrapped.get_graph(xray=True).draw_mermaid() == bare.get_graph(xray=True).draw_mermaid()
    assert wrapped.get_graph(xray=True).to_json(with_schemas=True) == bare.get_graph(xray=True).to_json(
        with_schemas=True
    )
    assert [name for name, _ in wrapped.get_subgraphs()] == [name for name, _ in bare.get_subgraphs()]
    assert wrapped.get_context_jsonschema() == bare.get_context_jsonschema()


def test_the_graph_given_stays_as_it_was(runtime, tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    graph = StateGraph(State)
    graph.add_node("one", lambda _: {"log": [ledger.did("one")]})
    graph.add_edge(START, "one")
    bare = graph.compile()
    wrapped = durable_graph(bare, runtime, name="app")
    assert bare.checkpointer is None
    assert bare.invoke({}) == wrapped.invoke({}) == {"log": ["one done"]}
    assert len(runtime.executions()) == 1
    assert isinstance(wrapped, type(bare))


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_every_durability_gives_the_same_result_and_keeps_the_history(both, durability):
    bare, wrapped = both(two_nodes())
    expected = bare.invoke({"log": ["in"]}, CONFIG, durability=durability)
    assert wrapped.invoke({"log": ["in"]}, CONFIG, durability=durability) == expected
    assert (
        await wrapped.ainvoke({"log": ["in"]}, {"configurable": {"thread_id": "u"}}, durability=durability) == expected
    )
    assert len(list(wrapped.get_state_history(CONFIG))) == (1 if durability == "exit" else 4)


def test_command_goto_and_update_steer_as_in_the_bare_graph(both):
    graph = StateGraph(State)
    graph.add_node("choose", lambda state: Command(goto="right" if state["n"] else "left", update={"log": ["chose"]}))
    graph.add_node("left", lambda _: {"log": ["left"]})
    graph.add_node("right", lambda _: Command(update=[("log", ["right"])], goto=END))
    graph.add_edge(START, "choose")
    bare, wrapped = both(graph)
    for n in (0, 1):
        config: Any = {"configurable": {"thread_id": f"t{n}"}}
        assert wrapped.invoke({"n": n}, config) == bare.invoke({"n": n}, config)
    config = {"configurable": {"thread_id": "c"}}
    for graph in (bare, wrapped):
        graph.invoke({"n": 0}, config)
    steered = Command(goto="right", update={"n": 9})
    assert wrapped.invoke(steered, config) == bare.invoke(steered, config)


def test_two_nodes_that_write_the_same_value_at_once_fail_as_in_the_bare_graph(both):
    graph = StateGraph(State)
    graph.add_node("one", lambda _: {"n": 1})
    graph.add_node("two", lambda _: {"n": 2})
    graph.add_edge(START, "one")
    graph.add_edge(START, "two")
    for graph in both(graph):
        with pytest.raises(InvalidUpdateError, match="one value per step"):
            graph.invoke({}, CONFIG)


def test_what_cannot_be_made_durable_is_refused_by_name(runtime, tmp_path):
    import sqlite3

    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.pregel.remote import RemoteGraph

    with pytest.raises(Unsupported, match="RemoteGraph"):
        durable_graph(RemoteGraph("app", url="http://localhost:1"), runtime)
    other = SqliteSaver(sqlite3.connect(tmp_path / "other.db"))
    with pytest.raises(Unsupported, match="SqliteSaver"):
        durable_graph(two_nodes().compile(checkpointer=other), runtime)
    with pytest.raises(InvalidConfiguration, match="not function"):
        durable_graph(two_nodes, runtime)


async def test_a_saver_that_was_given_at_compile_time_is_used_and_knows_the_types(runtime):
    saver = DurableSaver(runtime)
    graph = StateGraph(Typed)
    graph.add_node("one", lambda _: {"parts": [Part(name="a")]})
    graph.add_edge(START, "one")
    wrapped = durable_graph(graph.compile(checkpointer=saver), runtime, name="app")
    assert wrapped.checkpointer is saver
    assert (await wrapped.ainvoke({}, CONFIG))["parts"] == [Part(name="a")]
    again = durable_graph(graph, runtime, name="other")
    assert again.get_state(CONFIG).values["parts"] == [Part(name="a")]


def test_a_thread_id_may_be_a_number(runtime):
    wrapped = durable_graph(two_nodes(), runtime, name="app")
    number: Any = {"configurable": {"thread_id": 7}}
    wrapped.invoke({"log": ["in"]}, number)
    assert wrapped.get_state(number).values["n"] == 1
    assert runtime.executions()[0].thread == "7"


def test_what_cannot_be_kept_of_a_config_is_refused_by_its_name(runtime):
    wrapped = durable_graph(two_nodes(), runtime, name="app")
    with pytest.raises(NotEncodable, match=r"the input.configurable.db cannot be stored"):
        wrapped.invoke({}, {"configurable": {"thread_id": "t", "db": object()}})
