"""The shapes a LangGraph app can have, each with effects on a ledger: what the recovery tests kill in the middle.

A structure is built the same way in every process. Its tools are idempotent, so an effect that was under way at the crash is
sent again, with the same key; the effect of a plain node or task is made again. Each effect's answer, "<name> done", is part of what is
recorded, which is how a test sees what had finished.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from langchain.agents import create_agent
from langchain.agents.middleware import wrap_tool_call
from langchain_core.tools import StructuredTool
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, create_react_agent, tools_condition
from langgraph.types import Send

from durable.live.scope import scope
from tests.adapters.langgraph_world import Scripted, call, says

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.adapters.langgraph_world import Ledger


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    what: str


class Maker:
    """Makes nodes, tools and models with effects on a ledger, synchronous or asynchronous."""

    def __init__(self, ledger: Ledger, *, is_async: bool) -> None:
        self.ledger = ledger
        self.is_async = is_async

    def function(self, body: Callable[..., Any]) -> Callable[..., Any]:
        """A function of one argument in this flavour."""
        if not self.is_async:
            return lambda state: body(state)

        async def run(state: Any) -> Any:
            return body(state)

        return run

    def node(self, name: str) -> Callable[..., Any]:
        """A node with one effect, which has no key."""
        return self.function(lambda _: {"log": [self.ledger.did(name)]})

    @property
    def tool(self) -> Any:
        """The tool ``act(what)``, whose effect is ``what`` under the call's idempotency key."""

        def act(what: str) -> str:
            """Act."""
            here = scope()  # None where the bare graph runs, for comparison
            return self.ledger.did(what, None if here is None else here.tool_context.idempotency_key)

        async def aact(what: str) -> str:
            """Act."""
            return act(what)

        return StructuredTool.from_function(
            **{"coroutine" if self.is_async else "func": aact if self.is_async else act}, name="act"
        )

    def model(self, *lines: Any) -> Scripted:
        """A model whose answers are effects: "model 0" and so on."""
        return Scripted(lines=list(lines), ledger=self.ledger)


@dataclass(frozen=True)
class Structure:
    """An app, its input, all its effects, and those in which it is killed."""

    build: Callable[[Maker], Any]
    effects: tuple[str, ...]
    die_at: str
    given: Any = None
    parallel: bool = False
    """Its effects a, b and c run side by side."""
    serial: bool = False
    """They would, but are run one at a time, where that can be configured: in synchronous code."""


def chain(**nodes: Any) -> StateGraph[Any, Any, Any, Any]:
    """Nodes one after the other."""
    graph = StateGraph(State)
    for before, name in zip((START, *nodes), nodes, strict=False):
        graph.add_node(name, nodes[name])
        graph.add_edge(before, name)
    return graph


def nodes(make: Maker) -> Any:
    return chain(**{name: make.node(name) for name in ("a", "b", "c")})


def by_hand(make: Maker) -> Any:
    act = make.tool
    if not make.is_async:
        return chain(node=lambda _: {"log": [act.invoke({"what": what}) for what in ("a", "b", "c")]})

    async def node(_: Any) -> Any:
        return {"log": [await act.ainvoke({"what": what}) for what in ("a", "b", "c")]}

    return chain(node=node)


CALLS = [call("act", f"id-{what}", what=what) for what in ("a", "b", "c")]
LINES = (says("", *CALLS), says("end"))


def tool_node(make: Maker) -> Any:
    model = make.model(*LINES)

    def say(state: Any) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", make.function(say))
    graph.add_node("tools", ToolNode([make.tool]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph


def react(version: str) -> Callable[[Maker], Any]:
    return lambda make: create_react_agent(make.model(*LINES), [make.tool], version=version)


def agent(make: Maker) -> Any:
    @wrap_tool_call
    def sync_only(request: Any, handler: Any) -> Any:
        return handler(request)

    @wrap_tool_call
    async def async_only(request: Any, handler: Any) -> Any:
        return await handler(request)

    return create_agent(make.model(*LINES), [make.tool], middleware=[async_only if make.is_async else sync_only])


def fan_out(make: Maker) -> Any:
    graph = StateGraph(State)
    graph.add_node("before", make.node("before"))
    graph.add_node("work", make.function(lambda state: {"log": [make.ledger.did(state["what"])]}))
    graph.add_node("join", make.node("join"))
    graph.add_edge(START, "before")
    graph.add_conditional_edges("before", lambda _: [Send("work", {"what": what}) for what in "abc"], ["work"])
    graph.add_edge("work", "join")
    return graph


def sub_graph(checkpointer: Any) -> Callable[[Maker], Any]:
    def build(make: Maker) -> Any:
        inner = chain(**{name: make.node(name) for name in ("a", "b")})
        return chain(
            before=make.node("before"), inner=inner.compile(checkpointer=checkpointer), after=make.node("after")
        )

    return build


def sub_graph_called(checkpointer: Any) -> Callable[[Maker], Any]:
    def build(make: Maker) -> Any:
        act = make.tool
        inner = chain(**{name: make.node(name) for name in ("a", "b")}).compile(checkpointer=checkpointer)
        if not make.is_async:
            return chain(node=lambda _: {"log": [act.invoke({"what": "first"}), *inner.invoke({"log": []})["log"]]})

        async def node(_: Any) -> Any:
            return {"log": [await act.ainvoke({"what": "first"}), *(await inner.ainvoke({"log": []}))["log"]]}

        return chain(node=node)

    return build


def tasks(make: Maker) -> Any:
    if not make.is_async:

        @task
        def work(what: str) -> str:
            return make.ledger.did(what)

        @entrypoint()
        def flow(whats: list[str]) -> list[str]:
            first = work(whats[0]).result()
            return [first, *(work(what).result() for what in whats[1:])]

        return flow

    @task
    async def awork(what: str) -> str:
        return make.ledger.did(what)

    @entrypoint()
    async def aflow(whats: list[str]) -> list[str]:
        return [await awork(what) for what in whats]

    return aflow


def nested_tasks(make: Maker) -> Any:
    @task
    def leaf(what: str) -> str:
        return make.ledger.did(what)

    @task
    def branch(whats: list[str]) -> list[str]:
        return [leaf(what).result() for what in whats]

    @task
    async def abranch(whats: list[str]) -> list[str]:
        return [await leaf(what) for what in whats]

    if not make.is_async:
        return entrypoint()(lambda whats: branch(whats).result())

    @entrypoint()
    async def aflow(whats: list[str]) -> list[str]:
        return await abranch(whats)

    return aflow


def agent_in_a_tool(make: Maker) -> Any:
    inner = create_agent(Scripted(lines=list(LINES), model_name="inner"), [make.tool])

    def delegate(what: str) -> str:
        """Delegate."""
        return str(inner.invoke({"messages": [("user", what)]})["messages"][-1].content)

    async def adelegate(what: str) -> str:
        """Delegate."""
        return str((await inner.ainvoke({"messages": [("user", what)]}))["messages"][-1].content)

    chosen = {"coroutine": adelegate} if make.is_async else {"func": delegate}
    tool = StructuredTool.from_function(**chosen, name="delegate")
    return create_agent(make.model(says("", call("delegate", "d", what="x")), says("end")), [tool])


GO: Any = {"messages": [("user", "go")]}
SPOKEN = ("model 0", "a", "b", "c", "model 1")

STRUCTURES = {
    "nodes": Structure(nodes, ("a", "b", "c"), "b", {"log": []}),
    "tools by hand": Structure(by_hand, ("a", "b", "c"), "b", {"log": []}),
    "ToolNode": Structure(tool_node, SPOKEN, "b", GO, serial=True),
    "ToolNode, parallel": Structure(tool_node, SPOKEN, "b", GO, parallel=True),
    "a model call": Structure(tool_node, SPOKEN, "model 1", GO),
    "create_react_agent v1": Structure(react("v1"), SPOKEN, "b", GO, parallel=True),
    "create_react_agent v2": Structure(react("v2"), SPOKEN, "b", GO, parallel=True),
    "create_agent": Structure(agent, SPOKEN, "b", GO, parallel=True),
    "Send": Structure(fan_out, ("before", "a", "b", "c", "join"), "b", {"log": []}, parallel=True),
    "sub-graph": Structure(sub_graph(None), ("before", "a", "b", "after"), "b", {"log": []}),
    "sub-graph, checkpointer=True": Structure(sub_graph(True), ("before", "a", "b", "after"), "b", {"log": []}),
    "sub-graph, checkpointer=False": Structure(sub_graph(False), ("before", "a", "b", "after"), "b", {"log": []}),
    "sub-graph called": Structure(sub_graph_called(None), ("first", "a", "b"), "b", {"log": []}),
    "sub-graph called, checkpointer=False": Structure(sub_graph_called(False), ("first", "a", "b"), "b", {"log": []}),
    "@task": Structure(tasks, ("a", "b", "c"), "b", ["a", "b", "c"]),
    "@task in a @task": Structure(nested_tasks, ("a", "b", "c"), "b", ["a", "b", "c"]),
    "agent in a tool": Structure(agent_in_a_tool, SPOKEN, "b", GO, parallel=True),
}
