"""The order as a LangGraph graph: durable, and bare with the checkpointer that LangGraph has for SQLite."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from durable import current, tool
from durable.adapters.langgraph import durable_graph
from durable.live.scope import scope
from tests.contract.subject import ORDER, Durable, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durable import Runtime
    from tests.contract.outside import Outside

THREAD: Any = {"configurable": {"thread_id": ORDER}}


class State(TypedDict, total=False):
    """What the graph keeps."""

    number: int
    outcome: str


def graph_of(outside: Outside) -> StateGraph[Any]:
    """A node for each part of the order."""

    @tool
    def reserve(number: int) -> str:
        return outside.effect("reserve", number, _key())

    @tool
    def pay(number: int) -> str:
        return outside.effect("pay", number, _key())

    def reserved(state: State) -> State:
        reserve(state["number"])
        return {}

    def asked(_: State) -> State:
        interrupt("pay?")
        return {}

    graph = StateGraph(State)
    graph.add_node("draw", lambda _: {"number": outside.draw()})
    graph.add_node("reserved", reserved)
    graph.add_node("asked", asked)
    graph.add_node("paid", lambda state: {"outcome": pay(state["number"])})
    for before, after in ((START, "draw"), ("draw", "reserved"), ("reserved", "asked"), ("asked", "paid")):
        graph.add_edge(before, after)
    return graph


def _key() -> str:
    return "" if scope() is None else current().idempotency_key


class LangGraphOrder(Durable):
    """The graph, wrapped."""

    name = "durable LangGraph"
    input: Any = {}

    def build(self, runtime: Runtime) -> None:
        """One line."""
        durable_graph(graph_of(self.outside), runtime, name=ORDER)

    def said(self, output: Any) -> str:
        """The outcome is in the state."""
        return str(output["outcome"])

    def go_back(self) -> str:
        """The outcome of a graph is its state."""
        with self.runtime() as runtime:
            fork = self._fork(runtime.get(ORDER))
            self._settle(runtime, yes=True)
            return self.said(fork.result(timeout=0))


class BareLangGraphOrder(Subject):
    """The graph with SqliteSaver, as its documentation has it."""

    name = "LangGraph with SqliteSaver"

    @contextmanager
    def _graph(self) -> Iterator[Any]:
        with SqliteSaver.from_conn_string(str(self.folder / "checkpoints.db")) as saver:
            yield graph_of(self.outside).compile(checkpointer=saver)

    def begin(self) -> None:
        """Invoke it on a thread."""
        with self._graph() as graph:
            graph.invoke({}, THREAD)

    def go_on(self) -> None:
        """Invoke the thread again with None; from the beginning, if there is no checkpoint."""
        with self._graph() as graph:
            state = graph.get_state(THREAD)
            if state.next or state.created_at is None:
                graph.invoke(None if state.next else {}, THREAD)

    def say_yes(self) -> None:
        """Resume the interrupt."""
        with self._graph() as graph:
            if graph.get_state(THREAD).next:
                graph.invoke(Command(resume="yes"), THREAD)

    def go_back(self) -> str:
        """Invoke the thread from the checkpoint before the payment."""
        with self._graph() as graph:
            before = next(state for state in graph.get_state_history(THREAD) if state.next == ("paid",))
            return str(graph.invoke(None, before.config)["outcome"])

    def outcome(self) -> str | None:
        """What the thread's state says."""
        with self._graph() as graph:
            found = graph.get_state(THREAD).values.get("outcome")
            return None if found is None else str(found)

    def faults(self) -> list[str]:
        """A state that cannot be read."""
        with self._graph() as graph:
            try:
                list(graph.get_state_history(THREAD))
            except Exception as exc:  # whatever it is, it is told
                return [f"{type(exc).__name__}: {exc}"]
            return []
