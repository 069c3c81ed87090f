"""What the tests of the LangGraph adapter share: a scripted model, the world outside, processes that die, and comparison.

``Ledger`` is the outside: one line per effect, durable before its sender goes on. ``Ledger(path, die_at=...)`` ends the
process by SIGKILL right after the effect of that name. ``killed`` runs a function in a forked process that is expected to
end that way. ``plain`` takes from a value what differs between two runs of the same graph: ids and instants.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict

from durable.testing import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Ledger:
    """The world outside. Thread-safe, and shared by the processes that open the same path."""

    def __init__(self, path: Path, die_at: str | None = None) -> None:
        self.path = path
        self.die_at = die_at

    def did(self, what: str, key: str | None = None) -> str:
        """An effect happened; if it is the one to die at, nothing comes after it."""
        ledger = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(ledger, (json.dumps([what, key]) + "\n").encode())
            os.fsync(ledger)
        finally:
            os.close(ledger)
        if what == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{what} done"

    def lines(self) -> list[tuple[str, str | None]]:
        """What happened and under which key, in order."""
        if not self.path.exists():
            return []
        return [tuple(json.loads(line)) for line in self.path.read_text().splitlines()]

    def counts(self) -> dict[str, int]:
        """How often each effect happened."""
        return dict(Counter(what for what, _ in self.lines()))

    def keys(self, what: str) -> list[str | None]:
        """The keys that came with an effect."""
        return [key for found, key in self.lines() if found == what]


def killed(work: Callable[[], Any]) -> None:
    """Run ``work`` in a forked process, which has to be ended by a ledger; its end is waited for."""

    def run() -> None:
        found = work()
        if asyncio.iscoroutine(found):
            asyncio.run(found)

    assert processes.killed(run), "it lived"


class Scripted(BaseChatModel):
    """A model that answers from a script: with the line whose number is that of its own messages in the prompt."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    lines: list[AIMessage]
    ledger: Any = None
    model_name: str = "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Scripted:
        """Itself: the script knows the tools."""
        return self

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _line(self, messages: list[BaseMessage]) -> AIMessage:
        number = sum(isinstance(message, AIMessage) for message in messages)
        if self.ledger is not None:
            self.ledger.did(f"model {number}")
        return self.lines[number].model_copy(deep=True)

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._line(messages))])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        line = self._line(messages)
        words = re.findall(r"\S+\s*", str(line.content)) or [""]
        for place, word in enumerate(words):
            last = place == len(words) - 1
            calls = [
                {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": index}
                for index, call in enumerate(line.tool_calls)
            ]
            message = AIMessageChunk(
                word,
                id=line.id,
                tool_call_chunks=calls if last else [],
                usage_metadata=line.usage_metadata if last else None,
                chunk_position="last" if last else None,
            )
            if run_manager is not None:
                run_manager.on_llm_new_token(word, chunk=ChatGenerationChunk(message=message))
            yield ChatGenerationChunk(message=message)


def call(name: str, call_id: str, **args: Any) -> dict[str, Any]:
    """A tool call as a model makes it."""
    return {"name": name, "args": args, "id": call_id, "type": "tool_call"}


def says(content: str, *calls: dict[str, Any]) -> AIMessage:
    """A line of a script."""
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    return AIMessage(content, tool_calls=list(calls), usage_metadata=usage)


_IDS = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_INSTANTS = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+")
_INTERRUPTS = re.compile(r"\b[0-9a-f]{32}\b")


def plain(value: Any) -> str:
    """The repr, without what is another one in each run."""
    return _INSTANTS.sub("<at>", _INTERRUPTS.sub("<id>", _IDS.sub("<id>", repr(value))))


def contents(state: Any) -> list[tuple[str, Any]]:
    """The messages of a state in short."""
    return [(message.type, message.content) for message in state["messages"]]
