"""A LangGraph agent with parallel tools, an approval, Send, a sub-graph and @task: each with effects on the world."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.tools import StructuredTool
from langgraph.func import task
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Send

from durable import current, tool
from durable.adapters.langgraph import durable_graph
from durable.testing.outside import answer
from tests.crash.scenario import Scenario

if TYPE_CHECKING:
    from durable import Runtime
    from durable.testing.outside import Outside

CALLS = [
    {"name": name, "args": {"customer": "acme"}, "id": f"call-{name}", "type": "tool_call"}
    for name in ("look_up", "reserve", "charge")
]


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    done: Annotated[list[str], operator.add]
    inner: Annotated[list[str], operator.add]


class Inner(TypedDict, total=False):
    inner: Annotated[list[str], operator.add]


class Done(TypedDict):
    done: list[str]
    inner: list[str]


class Part(TypedDict):
    part: str


class Agent(Scenario):
    """Everything at once, in one graph."""

    name = "langgraph agent"
    app = "agent"
    effects = {
        "look_up": "read",
        "reserve": "idempotent",
        "charge": "once",
        "ship_a": "once",
        "ship_b": "once",
        "inner_once": "once",
        "inner_again": "idempotent",
        "polish": "once",
    }
    gated = frozenset({"charge"})
    side_by_side = 2
    expected = {
        "agent": (
            "succeeded",
            {
                "done": [answer(name) for name in ("look_up", "reserve", "charge", "ship_a", "ship_b", "polish")],
                "inner": [answer("inner_once"), answer("inner_again")],
            },
        )
    }

    def start(self, runtime: Runtime) -> None:
        self.graph.invoke({"done": []}, {"configurable": {"thread_id": "t"}}, execution_id="agent")

    def build(self, runtime: Runtime, world: Outside) -> None:
        def declared(name: str, **policy: Any) -> Any:
            def send(customer: str = "acme") -> str:
                """Do it."""
                return world.effect(name, {"customer": customer}, key=current().idempotency_key)

            send.__name__ = name
            return tool(**policy)(send)

        def told(name: str, value: str) -> State:
            return {"done": [world.acknowledged(name, value)]}

        called = [
            StructuredTool.from_function(declared(name, effect=self.effects[name], approval=name in self.gated or None))
            for name in ("look_up", "reserve", "charge")
        ]
        ship = {part: declared(f"ship_{part}") for part in "ab"}
        inner_once, inner_again = declared("inner_once"), declared("inner_again", effect="idempotent")
        polish = declared("polish")

        def model(_: State) -> State:
            return {"messages": [AIMessage("", id="m1", tool_calls=CALLS)]}

        def note(state: State) -> State:
            messages = state["messages"][1:]
            return {"done": [world.acknowledged(str(m.name), str(m.content)) for m in messages]}

        def deliver(state: Part) -> State:
            return told(f"ship_{state['part']}", ship[state["part"]]())

        @task
        def finishing() -> str:
            return str(polish())

        def finish(_: State) -> State:
            return told("polish", finishing().result())

        def first(_: Inner) -> Inner:
            return {"inner": [world.acknowledged("inner_once", inner_once())]}

        def second(_: Inner) -> Inner:
            return {"inner": [world.acknowledged("inner_again", inner_again())]}

        sub = StateGraph(Inner).add_sequence([first, second])
        sub.add_edge(START, "first")

        graph = StateGraph(State, output_schema=Done)
        graph.add_node("model", model)
        graph.add_node("tools", ToolNode(called))
        graph.add_node("note", note)
        graph.add_node("deliver", deliver)
        graph.add_node("sub", sub.compile())
        graph.add_node("finish", finish)
        graph.add_edge(START, "model")
        graph.add_edge("model", "tools")
        graph.add_edge("tools", "note")
        graph.add_conditional_edges("note", lambda _: [Send("deliver", {"part": part}) for part in "ab"], ["deliver"])
        graph.add_edge("deliver", "sub")
        graph.add_edge("sub", "finish")
        self.graph = durable_graph(graph, runtime, name=self.app)


LANGGRAPH = [Agent]
