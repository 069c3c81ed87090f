"""The frameworks' own messages and commands come back equal, with the concrete classes they had."""

from __future__ import annotations

import dataclasses
import operator
from typing import Annotated, Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.base import TextAccessor
from langchain_core.prompt_values import ChatPromptValue
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.types import Command, Interrupt, Overwrite, Send, TimeoutPolicy
from pydantic import BaseModel

from durable.checkpoint.codec.codec import Codec
from durable.errors import NotEncodable, UnknownType


class State(BaseModel):
    messages: Annotated[list[BaseMessage], operator.add]
    last: BaseMessage | None = None


class CustomMessage(HumanMessage):
    mood: str = "calm"


@dataclasses.dataclass
class Receipt:
    amount: int
    lines: tuple[str, ...] = ()


MESSAGES = (AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage, RemoveMessage, CustomMessage)
LANGGRAPH = (Command, Send, Interrupt, Overwrite, TimeoutPolicy, _DeltaSnapshot)
CODEC = Codec([*MESSAGES, *LANGGRAPH, State, Receipt, Document, ChatPromptValue, TextAccessor])

AI = AIMessage(
    "I will look that up.",
    id="run-1",
    name="agent",
    tool_calls=[{"name": "pay", "args": {"amount": 3, "$t": "tuple", "to": "\ud800"}, "id": "call_1"}],
    invalid_tool_calls=[{"name": "pay", "args": "{", "id": "call_2", "error": "bad JSON"}],
    usage_metadata={
        "input_tokens": 10,
        "output_tokens": 20,
        "total_tokens": 30,
        "input_token_details": {"cache_read": 5},
    },
    response_metadata={"finish_reason": "tool_calls", "logprobs": None},
    additional_kwargs={"refusal": None},
)
TOOL = ToolMessage(
    [{"type": "text", "text": "paid"}],
    tool_call_id="call_1",
    artifact=Receipt(3, ("a", "b")),
    status="error",
    additional_kwargs={"raw": (b"\xff", {1, 2})},
)
HUMAN = HumanMessage([{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": "data:,x"}}])
INTERRUPT = Interrupt({"question": "sure?", "options": ("yes", "no")}, id="i-1", response_schema={"type": "boolean"})


def back(value: Any) -> Any:
    return CODEC.decode(CODEC.encode(value))


@pytest.mark.parametrize(
    "message",
    [
        *(AI, TOOL, HUMAN, RemoveMessage("m-1"), SystemMessage("be brief"), CustomMessage("hi", mood="glad")),
        AIMessageChunk("par", tool_call_chunks=[{"name": "pay", "args": '{"a', "id": "c", "index": 0}]),
        HumanMessage("extra", example=True, unknown={"kept": (1,)}),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_comes_back_equal(message):
    made = back(message)
    assert type(made) is type(message)
    assert made == message
    assert vars(made) == vars(message)
    assert made.model_fields_set == message.model_fields_set
    assert made.model_extra == message.model_extra
    assert made.pretty_repr() == message.pretty_repr()
    assert CODEC.encode(made) == CODEC.encode(message)


def test_a_message_that_came_back_still_works():
    made = back(AI)
    assert made.tool_calls[0]["args"] == AI.tool_calls[0]["args"]
    assert made.usage_metadata == AI.usage_metadata
    assert made.content_blocks == AI.content_blocks
    assert made.model_copy(update={"content": "x"}).content == "x"
    chunk = AIMessageChunk("a", id="1")
    assert back(chunk) + AIMessageChunk("b", id="1") == chunk + AIMessageChunk("b", id="1")
    assert back(TOOL).artifact == Receipt(3, ("a", "b"))
    assert back(TOOL).status == "error"


def test_messages_keep_their_class_inside_a_field_of_the_base_class():
    state = State(messages=[HUMAN, AI, TOOL, CustomMessage("x")], last=AI)
    made = back(state)
    assert made == state
    assert [type(message) for message in made.messages] == [HumanMessage, AIMessage, ToolMessage, CustomMessage]
    prompt = ChatPromptValue(messages=[HUMAN, AI])
    assert back(prompt) == prompt
    assert back(Document("text", metadata={"page": 1})) == Document("text", metadata={"page": 1})


def test_the_text_of_a_message_is_a_string_of_its_own_kind():
    made = back(AI.text)
    assert (type(made), made) == (TextAccessor, "I will look that up.")
    with pytest.raises(NotEncodable, match=r"convert it with str\(\.\.\.\)"):
        Codec(MESSAGES).encode(AI.text)


@pytest.mark.parametrize(
    "value",
    [
        *(Send("node", {"messages": [HUMAN], "n": (1, 2)}), Send("node", AI, timeout=5.0)),
        Command(update={"messages": [AI, TOOL]}, goto=[Send("a", 1), "b"], graph=Command.PARENT, resume={"i-1": True}),
        *(Command(), Command(resume=None), Command(goto=("a", "b")), Command(update=[("messages", [AI])])),
        *(INTERRUPT, Interrupt(AI), Overwrite([AI]), Overwrite(None), TimeoutPolicy(run_timeout=3.0)),
        *(_DeltaSnapshot([AI, TOOL]), _DeltaSnapshot({"$t": "x"}), (INTERRUPT, Interrupt(2))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_command_of_langgraph_comes_back_equal(value):
    made = back(value)
    assert type(made) is type(value)
    assert made == value
    assert repr(made) == repr(value)
    assert CODEC.encode(made) == CODEC.encode(value)


def test_a_frozen_command_is_still_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        back(Command(resume=1)).resume = 2


def test_fingerprints_of_equal_messages_are_equal():
    assert CODEC.fingerprint(State(messages=[AI])) == CODEC.fingerprint(back(State(messages=[AI])))
    assert CODEC.fingerprint(AI) != CODEC.fingerprint(AI.model_copy(update={"content": "x"}))


def test_a_message_class_that_is_not_allowed_is_named():
    with pytest.raises(UnknownType, match=r"langchain_core\.messages\.tool:ToolMessage"):
        Codec([AIMessage, Receipt]).decode(CODEC.encode([AI, TOOL]))
    with pytest.raises(NotEncodable, match=r"result.messages\[1\] .*ToolMessage.*types=\[ToolMessage\]"):
        Codec([AIMessage, State]).encode(State(messages=[AI, TOOL]), what="result")


def test_an_interrupt_with_a_class_as_its_schema_is_refused_by_path():
    with pytest.raises(NotEncodable, match=r"value\.response_schema"):
        CODEC.encode(Interrupt(1, response_schema=State))
