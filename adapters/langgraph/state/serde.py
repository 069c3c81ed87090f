"""LangGraph's serializer over our codec: typed JSON, classes from an allow-list only, nothing imported by name.

``FRAMEWORK_TYPES`` are the classes of LangGraph and LangChain that stand in states, writes and results. What an
application adds is named in ``Runtime(types=[...])`` or found in its graph's schemas. It reads its own format and no
other: a checkpoint written by LangGraph's JsonPlusSerializer is refused, not revived.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from langchain_core import agents, documents, messages, outputs, prompt_values
from langchain_core.messages.base import TextAccessor
from langgraph import types
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.store.base import GetOp, Item, SearchItem

from durable.errors import CorruptPayload

if TYPE_CHECKING:
    from collections.abc import Collection

    from durable.checkpoint.codec.codec import Codec

FORMAT = "durable"
"""What ``dumps_typed`` says of its bytes."""

FRAMEWORK_TYPES: tuple[type, ...] = (
    messages.AIMessage,
    messages.AIMessageChunk,
    messages.BaseMessage,
    messages.BaseMessageChunk,
    messages.ChatMessage,
    messages.ChatMessageChunk,
    messages.FunctionMessage,
    messages.FunctionMessageChunk,
    messages.HumanMessage,
    messages.HumanMessageChunk,
    messages.RemoveMessage,
    messages.SystemMessage,
    messages.SystemMessageChunk,
    messages.ToolMessage,
    messages.ToolMessageChunk,
    TextAccessor,
    documents.Document,
    outputs.ChatGeneration,
    outputs.ChatGenerationChunk,
    outputs.ChatResult,
    outputs.Generation,
    outputs.GenerationChunk,
    outputs.LLMResult,
    outputs.RunInfo,
    prompt_values.ChatPromptValue,
    prompt_values.ChatPromptValueConcrete,
    prompt_values.StringPromptValue,
    agents.AgentAction,
    agents.AgentActionMessageLog,
    agents.AgentFinish,
    types.CachePolicy,
    types.Command,
    types.Interrupt,
    types.Overwrite,
    types.PregelTask,
    types.RetryPolicy,
    types.Send,
    types.StateSnapshot,
    types.StateUpdate,
    types.TimeoutPolicy,
    GetOp,
    Item,
    SearchItem,
    _DeltaSnapshot,
)


class DurableSerializer:
    """LangGraph's SerializerProtocol over a codec. Raises what its ``encode`` and ``decode`` raise, all CodecErrors."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return the format's name, and the value as bytes."""
        return FORMAT, self.codec.encode(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of what ``dumps_typed`` gave; of nothing else."""
        if data[0] != FORMAT:
            reason = f"format {data[0]!r:.40}, only {FORMAT!r} is read here"
            raise CorruptPayload(reason)
        return self.codec.decode(data[1])


def loaded_types(names: Collection[tuple[str, ...]]) -> list[type]:
    """Return the classes of (module, name, ...) that this process has loaded already; nothing is imported for it."""
    classes: list[type] = []
    for module, *path in names:
        value: Any = sys.modules.get(module)
        for name in ".".join(path).split("."):
            value = getattr(value, name, None)
        if isinstance(value, type):
            classes.append(value)
    return classes
