"""A LangGraph agent: a model, a ToolNode with its tools, a node that asks a person, and one that does so in LangGraph's own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import interrupt
from pydantic import PrivateAttr

from durable import Budget, Retry, Runtime, ask, tool
from durable.adapters.langgraph import durable_graph

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.golden.outside import Outside

CALLED = ["look_up", "reserve", "charge", "enable", "deliver"]
EFFECTS = ["look_up", "reserve", "charge", "enable", "pay", "deliver"]
MODEL_CALLS = 6
OUTPUT = "all done in blue"
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


class State(MessagesState, total=False):
    color: str
    paid: str


class Planned(BaseChatModel):
    """A model that calls the tools one after another, and then has done."""

    _outside: Any = PrivateAttr()

    def __init__(self, outside: Outside) -> None:
        super().__init__()
        self._outside = outside

    @property
    def _llm_type(self) -> str:
        return "planned"

    def _generate(self, messages: list[Any], *_: Any, **__: Any) -> ChatResult:
        self._outside.asked += 1
        turn = sum(isinstance(message, AIMessage) for message in messages)
        calls = [
            {"name": name, "args": {"customer": "acme"}, "id": f"call_{name}", "type": "tool_call"}
            for name in CALLED[turn : turn + 1]
        ]
        said = AIMessage("" if calls else "all done", tool_calls=calls, usage_metadata=USAGE, id=f"answer_{turn}")
        return ChatResult(generations=[ChatGeneration(message=said)])


def opened(url: str, outside: Outside) -> tuple[Runtime, Callable[[], str | None]]:
    """Return the runtime, and what invokes the graph: the last message if it has ended, None if it waits."""
    runtime = Runtime(url, budget=Budget(steps=100, model_calls=50))
    policies: dict[str, dict[str, Any]] = {
        "look_up": {"effect": "read"},
        "reserve": {"effect": "idempotent", "retry": Retry(attempts=3, initial=0)},
        "charge": {"effect": "once"},
        "enable": {"effect": "once", "approval": True},
        "deliver": {"effect": "once"},
    }

    def declared(name: str) -> StructuredTool:
        def act(customer: str) -> str:
            """Do it."""
            return outside.do(name)

        act.__name__ = name
        return StructuredTool.from_function(tool(**policies[name])(act))

    planned = Planned(outside)

    def model(state: State) -> dict[str, list[AnyMessage]]:
        return {"messages": [planned.invoke(state["messages"])]}

    def choose(state: State) -> dict[str, str]:
        return {"color": ask("Which color?", choices=("red", "blue"))}

    @tool(effect="once")
    def pay(customer: str) -> str:
        return outside.do("pay")

    def confirm(state: State) -> dict[str, str]:
        sure = interrupt({"question": "sure?"})
        return {"paid": pay("acme") if sure else "unpaid"}

    def close(state: State) -> dict[str, list[AnyMessage]]:
        return {"messages": [AIMessage(f"{state['messages'][-1].text} in {state['color']}", id="closing")]}

    def after_model(state: State) -> str:
        return "tools" if state["messages"][-1].tool_calls else "close"

    def after_tools(state: State) -> str:
        return {"charge": "choose", "enable": "confirm"}.get(state["messages"][-1].name, "model")

    graph = StateGraph(State)
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode([declared(name) for name in CALLED], handle_tool_errors=False))
    graph.add_node("choose", choose)
    graph.add_node("confirm", confirm)
    graph.add_node("close", close)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", after_model, ["tools", "close"])
    graph.add_conditional_edges("tools", after_tools, ["choose", "confirm", "model"])
    graph.add_edge("choose", "model")
    graph.add_edge("confirm", "model")
    graph.add_edge("close", END)
    agent = durable_graph(graph, runtime, name="provisioning")

    def start() -> str | None:
        given = {"messages": [HumanMessage("go", id="asked")]}
        state = agent.invoke(given, {"configurable": {"thread_id": "acme"}}, execution_id="golden")
        return state["messages"][-1].text if runtime.get("golden").status == "succeeded" else None

    return runtime, start
