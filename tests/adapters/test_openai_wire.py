"""The ``openai`` client over HTTP, both of its protocols: a process is killed, another one goes on, the server counts."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from agents import (
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    function_tool,
)
from llmock.scenarios import Match, Reply, ToolCall
from llmock.testing import LLMockServer
from openai import AsyncOpenAI

from durable import Runtime, ToolPolicy
from durable.adapters.openai_agents import durable_agent
from tests.adapters.openai_world import Ledger, agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODELS: dict[str, Any] = {"responses": OpenAIResponsesModel, "chat": OpenAIChatCompletionsModel}
PATHS = {"responses": "/v1/responses", "chat": "/v1/chat/completions"}
SETTINGS = ModelSettings(include_usage=True)
UNTRACED = RunConfig(tracing_disabled=True)


@pytest.fixture(scope="module")
def provider() -> Iterator[LLMockServer]:
    """A provider on the wire; each form is answered with two calls, one after the other, then with a text."""
    with LLMockServer() as server:
        for path in PATHS.values():
            for streamed in (False, True):
                match = Match(path=path, stream=streamed)
                calls = (Reply(tool_calls=(ToolCall("act", {"what": what}),), match=match) for what in "ab")
                server.state.scenarios.add(*calls, Reply(text="end", match=match))
        yield server


def arrived(provider: LLMockServer, path: str, *, streamed: bool) -> Counter[int]:
    """The requests of one form, by how many answers of the model they hold."""
    records = (one for one in provider.state.journal.records(wait=2) if (one.path, one.stream) == (path, streamed))
    return Counter(_answers(one.body) for one in records)


def _answers(body: Any) -> int:
    said = body["messages"] if "messages" in body else [one for one in body["input"] if one.get("type") != "message"]
    return sum(one.get("role") == "assistant" or one.get("type") == "function_call" for one in said)


async def life(provider: LLMockServer, url: str, ledger: Ledger, api: str, way: str, *, dies: bool) -> Any:
    """One process: the agent, on the wire."""

    @function_tool
    def act(what: str) -> str:
        done = ledger.did(what)
        if dies and what == "b":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    async with AsyncOpenAI(api_key="none", base_url=provider.base_url("openai"), max_retries=0) as client:
        app = agent("app", MODELS[api]("scripted", client), act, model_settings=SETTINGS)
        with Runtime(url, policies={"act": ToolPolicy(effect="idempotent")}) as runtime:
            durable = durable_agent(app, runtime, run_config=UNTRACED)
            if way == "whole":
                return await durable.run(f"{api} {way}", execution_id="x")
            result = durable.run_streamed(f"{api} {way}", execution_id="x")
            async for _ in result.stream_events():
                pass
            return result


def ended_by(work: Callable[[], Any]) -> int:
    """The signal that ended a process forked to do this work; 0 if none did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads; those of a test are idle
        pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_each_answer_is_asked_for_once_although_the_process_is_killed(
    provider: LLMockServer, sqlite_url: str, tmp_path: Any, api: str, way: str
) -> None:
    def live(*, dies: bool) -> Any:
        return asyncio.run(life(provider, sqlite_url, Ledger(tmp_path / "ledger"), api, way, dies=dies))

    def asked() -> Counter[int]:
        return arrived(provider, PATHS[api], streamed=way == "streamed")

    assert ended_by(lambda: live(dies=True)) == signal.SIGKILL
    assert asked() == Counter([0, 1])
    result = live(dies=False)
    usage = result.context_wrapper.usage
    assert (result.final_output, usage.requests) == ("end", 3)
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert asked() == Counter([0, 1, 2])  # one each: the first two were not asked for again
    assert Ledger(tmp_path / "ledger").counts() == {"a": 1, "b": 2}  # idempotent: sent again
