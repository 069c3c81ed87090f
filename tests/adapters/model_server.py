"""An OpenAI-compatible server in a process of its own: Responses and Chat Completions over HTTP, streamed and not.

``python model_server.py JOURNAL`` prints its port. It answers from a script, by the number of answers in what it is asked: two
calls of ``act``, one after the other, and then a text. Each request is a line in JOURNAL before it is answered, so model calls
are counted where they arrive. Source of the shapes: the API reference and the types of the ``openai`` client.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SCRIPT: list[Any] = [("c1", "a"), ("c2", "b"), "end"]
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def answers(request: dict[str, Any]) -> int:
    """How many answers of the model the request holds."""
    items = request.get("messages") or request["input"]
    if isinstance(items, str):
        return 0
    return sum(item.get("role") == "assistant" or item.get("type") == "function_call" for item in items)


def response(number: int) -> dict[str, Any]:
    """An answer of the Responses API."""
    said = SCRIPT[number]
    if isinstance(said, str):
        text = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
        item = {"id": f"m{number}", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    else:
        arguments = json.dumps({"what": said[1]})
        item = {"id": f"f{number}", "type": "function_call", "call_id": said[0], "name": "act", "arguments": arguments}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    about = {"id": f"r{number}", "object": "response", "created_at": 0, "model": "scripted", "status": "completed"}
    fixed = {"parallel_tool_calls": False, "tool_choice": "auto", "tools": []}
    return {**about, **fixed, "output": [item], "usage": {**USAGE, **details}}


def response_events(number: int) -> list[tuple[str | None, Any]]:
    """The same as a stream."""
    whole = response(number)
    [item] = whole["output"]
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**whole, "output": [], "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress"}},
    ]
    if item["type"] == "message":
        delta = {"output_index": 0, "content_index": 0, "item_id": item["id"], "delta": SCRIPT[number], "logprobs": []}
        events.append({"type": "response.output_text.delta", **delta})
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": whole})
    return [(event["type"], {**event, "sequence_number": place}) for place, event in enumerate(events)]


def message(number: int) -> dict[str, Any]:
    """A message of the Chat Completions API."""
    said = SCRIPT[number]
    if isinstance(said, str):
        return {"role": "assistant", "content": said}
    function = {"name": "act", "arguments": json.dumps({"what": said[1]})}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": said[0], "type": "function", "function": function}],
    }


def completion(number: int) -> dict[str, Any]:
    """An answer of the Chat Completions API."""
    said = message(number)
    choice = {"index": 0, "finish_reason": "tool_calls" if "tool_calls" in said else "stop", "message": said}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    about = {"id": f"r{number}", "object": "chat.completion", "created": 0, "model": "scripted"}
    return {**about, "choices": [choice], "usage": usage}


def completion_events(number: int) -> list[tuple[str | None, Any]]:
    """The same as a stream."""
    whole, said = completion(number), message(number)
    if "tool_calls" in said:
        said = {**said, "tool_calls": [{**said["tool_calls"][0], "index": 0}]}
    about = {**whole, "object": "chat.completion.chunk", "usage": None}
    finish = whole["choices"][0]["finish_reason"]
    chunks: list[dict[str, Any]] = [
        {**about, "choices": [{"index": 0, "delta": said, "finish_reason": None}]},
        {**about, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {**about, "choices": [], "usage": whole["usage"]},
    ]
    return [*((None, chunk) for chunk in chunks), (None, "[DONE]")]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    journal: Path

    def do_POST(self) -> None:
        """Write it down, and answer."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number, chat = answers(request), self.path.endswith("/chat/completions")
        with self.journal.open("a") as journal:
            journal.write(json.dumps([self.path, bool(request.get("stream")), number]) + "\n")
        self.send_response(200)
        if request.get("stream"):
            events = completion_events(number) if chat else response_events(number)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for name, event in events:
                line = event if isinstance(event, str) else json.dumps(event)
                self.wfile.write((f"event: {name}\n" if name else "").encode() + f"data: {line}\n\n".encode())
            return
        body = json.dumps(completion(number) if chat else response(number)).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """The journal is enough."""


if __name__ == "__main__":
    Handler.journal = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
