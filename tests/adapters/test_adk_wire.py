"""ADK's Gemini client over HTTP, streamed and not: a process is killed, another one goes on, the server counts."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from llmock.scenarios import Match, Reply, ToolCall
from llmock.testing import LLMockServer

from tests.adapters.adk_wire import WAYS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def provider(monkeypatch):
    """A provider on the wire; each execution is answered with two calls, one after the other, then with a text."""
    with LLMockServer() as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.base_url("gemini"))
        monkeypatch.setenv("GOOGLE_API_KEY", "none")
        for way in WAYS:
            match = Match(stream=way == "streamed")
            calls = (Reply(tool_calls=(ToolCall("act", {"what": what}),), match=match) for what in "ab")
            server.state.scenarios.add(*calls, Reply(text=f"{way} end", match=match))
        yield server


def arrived(provider):
    """Requests by path, and by how many answers of the model they hold."""
    return Counter(
        (record.path.rpartition(":")[2], sum(content["role"] == "model" for content in record.body["contents"]))
        for record in provider.state.journal.records(wait=2)
    )


def process(*args):
    command = [sys.executable, "-m", "tests.adapters.adk_wire", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)


def test_each_answer_is_asked_for_once_although_the_process_is_killed(provider, sqlite_url, tmp_path):
    ledger = tmp_path / "effects"
    died = process(sqlite_url, str(ledger), "deadly")
    assert died.returncode == -signal.SIGKILL, died.stderr
    asked = [(path, number) for path in ("generateContent", "streamGenerateContent") for number in range(3)]
    assert arrived(provider) == Counter(one for one in asked if one[1] < 2)
    ended = process(sqlite_url, str(ledger))
    assert ended.stdout.splitlines() == ["whole: whole end", "streamed: streamed end"], ended.stderr
    assert arrived(provider) == Counter(asked)  # one each: the first two were not asked for again
    assert Counter(ledger.read_text().split()) == {"a": 2, "b": 4}  # idempotent: sent again
