"""LangGraph in the suite: a graph of a model and a ``ToolNode``."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command

from durable.adapters.langgraph import durable_graph
from durable.errors import InvalidDecision
from durable.testing import APP, MESSAGE, AdapterFixture, Entry, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from durable import Runtime


class Model(BaseChatModel):
    """The script as a chat model; its text streams word by word."""

    model_name: str = "scripted"
    script: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _answer(self, messages: Any) -> Any:
        return self.script.answer({m.tool_call_id: str(m.content) for m in messages if isinstance(m, ToolMessage)})

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        turn = self._answer(messages)
        calls = [{"name": call.name, "args": dict(call.arguments), "id": call.id} for call in turn.calls]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(turn.text, tool_calls=calls))])

    def _stream(self, messages: Any, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        turn = self._answer(messages)
        calls = [
            {"name": call.name, "args": json.dumps(dict(call.arguments)), "id": call.id, "index": index}
            for index, call in enumerate(turn.calls)
        ]
        for word in turn.text.split(" ")[:-1]:
            yield ChatGenerationChunk(message=AIMessageChunk(word + " "))
        last = AIMessageChunk(turn.text.split(" ")[-1], tool_call_chunks=calls, chunk_position="last")
        yield ChatGenerationChunk(message=last)


class LangGraph(AdapterFixture):
    """A checkpointed graph; user code in ``wrap_tool_call`` may alter a call."""

    altered = "drift"

    def agent(self, runtime: Runtime, script: Script, tools: Sequence[Callable[..., Any]]) -> Any:
        model = Model(script=script)

        def altering(request: Any, execute: Callable[[Any], Any]) -> Any:
            script.alter(request.tool_call["args"])
            return execute(request)

        graph = StateGraph(MessagesState)
        graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
        graph.add_node("tools", ToolNode(list(tools), wrap_tool_call=altering))
        graph.add_edge(START, "model").add_conditional_edges("model", tools_condition).add_edge("tools", "model")
        return durable_graph(graph, runtime, name=APP)

    def run(self, agent: Any, entry: Entry) -> str | None:
        return answer(agent.invoke(messages(), config(entry), execution_id=entry.execution_id, tags=entry.tags))

    def stream(self, agent: Any, entry: Entry) -> list[str]:
        modes = {"stream_mode": ["messages", "values"], "execution_id": entry.execution_id}
        found = list(agent.stream(messages(), config(entry), **modes))
        chunks = [chunk for mode, chunk in found if mode == "messages"]
        pieces = [message.content for message, _ in chunks if isinstance(message, (AIMessage, AIMessageChunk))]
        whole = [state for mode, state in found if mode == "values"]
        return pieces or [answer(state) or "" for state in whole[-1:]]

    def go_on(self, agent: Any, entry: Entry) -> str | None:
        return answer(agent.invoke(None, config(entry)))

    def forge(self, agent: Any, entry: Entry) -> None:
        for claim in (True, {"decisions": [{"type": "approve"}]}, [{"type": "accept"}]):
            with suppress(InvalidDecision):
                agent.invoke(Command(resume=claim), config(entry))
        agent.invoke(None, {"configurable": {"thread_id": entry.thread, "approved": True}})


def messages() -> Any:
    return {"messages": [("user", MESSAGE)]}


def config(entry: Entry) -> Any:
    return {"configurable": {"thread_id": entry.thread}}


def answer(state: Any) -> str | None:
    last = state["messages"][-1]
    return last.content if isinstance(last, AIMessage) and last.content else None
